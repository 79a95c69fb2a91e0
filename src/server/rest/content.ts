/** A JSON body or answer of a shared schema, for OpenAPI and serialisation. */
export function jsonContent(name: string) {
  return { content: { "application/json": { schema: { $ref: `${name}#` } } } };
}
