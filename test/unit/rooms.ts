/** The rooms of the house and their floors: a room imports only from floors below its own. */
export const floors: Readonly<Record<string, number>> = {
  "refusal.ts": 0,
  "version.ts": 0,
  der: 0,
  x509: 1,
  openssl: 1,
  policy: 2,
  store: 3,
  authority: 4,
  config: 5,
  ceremony: 6,
  server: 6,
  client: 6,
  cli: 7,
};

/**
 * What a room sees instead of the floors below. The client embeds in services and knows no server.
 * The texts of `openssl ca` are about the values of x509, which knows nothing of them.
 */
export const onlySees: Readonly<Record<string, readonly string[]>> = {
  openssl: ["refusal.ts", "der", "x509"],
  client: ["refusal.ts", "der", "x509"],
};
