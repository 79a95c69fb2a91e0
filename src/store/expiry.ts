/** How both engines remember up to when certificates that ended were marked as expired. */

/** The fact that holds it, in milliseconds since 1970. */
export const expiredFact = "index:expired-until";
/** Marked in one transaction. */
export const EXPIRED_AT_ONCE = 1000;
/** Another clock may have been behind ours when a certificate was recorded as live. */
export const CLOCK_SLACK_MS = 600_000;
