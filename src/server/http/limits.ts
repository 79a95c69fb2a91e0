/** Octets of a request's first line and headers: a token of 16 KiB and all else that is usual fit. */
export const MOST_HEADER_BYTES = 32 * 1024;
