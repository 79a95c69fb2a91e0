/** Route addresses as regular expressions: one reading of them for all that look at a path. */

/** The pattern of a whole path. `:name`, `:name(expression)` become groups; `*` is the group `rest`. */
export function routePattern(url: string): RegExp {
  const source = url.replace(
    /:(\w+)(?:\(\^?([^)]*?)\$?\))?|\*|[.+?^${}()|[\]\\]/g,
    (part, name: string | undefined, expression: string | undefined) => {
      if (part === "*") return "(?<rest>.*)";
      if (name === undefined) return `\\${part}`;
      return `(?<${name}>${expression ?? "[^/]+"})`;
    },
  );
  return new RegExp(`^${source}$`);
}
