/**
 * Headers of every answer of every listener. A route that says otherwise has its way, as `/docs` and
 * CRLs do. Strict-Transport-Security is left out: browsers apply it to all ports of a host, and CRLs
 * and OCSP stand on a plain one (RFC 6797 8.2).
 */
export const fixedHeaders = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "cross-origin-resource-policy": "same-origin",
  // Under `no-referrer`, a browser would send our own pages' forms with `Origin: null`.
  "referrer-policy": "same-origin",
  "cache-control": "no-store",
} as const;
