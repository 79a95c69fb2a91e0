/** Configuration, keys and certificates do not belong together; the message is for people. */
export class UnusableAuthority extends Error {
  override readonly name = "UnusableAuthority";
}
