/** The body of a route that reads JSON only: judged whatever type the request names. */
export function jsonBody(name: string) {
  return { $ref: `${name}#` };
}

/** A JSON body or answer of a shared schema, for OpenAPI and serialisation. */
export function jsonContent(name: string) {
  return { content: { "application/json": { schema: { $ref: `${name}#` } } } };
}
