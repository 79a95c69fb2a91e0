/** What `openssl ca` says when a subject breaks its policy (apps/ca.c, do_body), each on one line. */

/** `match`: the request's value is none of those that the CA has. */
export function fieldDiffers(attribute: string, ca: string, request: string): string {
  return `The ${attribute} field needed to be the same in the CA certificate (${ca}) and the request (${request})`;
}

/** `supplied`: the request has none. */
export function fieldMissing(attribute: string): string {
  return `The ${attribute} field needed to be supplied and was missing`;
}

/** `match`: the request has none. */
export function mandatoryFieldMissing(attribute: string): string {
  return `The mandatory ${attribute} field was missing`;
}

/** `match`: the CA itself has none, a mistake of the configuration. */
export function policyMisconfigured(attribute: string): string {
  return `The ${attribute} field does not exist in the CA certificate, the 'policy' is misconfigured`;
}

/** A policy names an attribute that does not exist. */
export function unknownObject(attribute: string): string {
  return `${attribute}:unknown object type in 'policy' configuration`;
}
