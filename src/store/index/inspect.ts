/** Rows that belong together and are not there together: the same questions on both engines. */

import { type Kysely, sql } from "kysely";

const questions: readonly (readonly [finding: string, from: string])[] = [
  [
    "certificates without their bytes",
    `certificates c where c.via <> 'import' and not exists
       (select 1 from certificate_der d where d.certificate_id = c.id)`,
  ],
  [
    "certificates without a line in the audit",
    `certificates c where c.via <> 'import' and not exists
       (select 1 from audit a where a.certificate_id = c.id)`,
  ],
  [
    "used credentials without their certificate",
    `credentials k where not exists (select 1 from certificates c where c.id = k.certificate_id)`,
  ],
  [
    "certificates by token without the token's use",
    `certificates c where c.via = 'token' and not exists
       (select 1 from credentials k where k.certificate_id = c.id)`,
  ],
  [
    "names without their certificate",
    `certificate_names n where not exists (select 1 from certificates c where c.id = n.certificate_id)`,
  ],
  [
    "revocations without their certificate",
    `revocations r where not exists (select 1 from certificates c where c.id = r.certificate_id)`,
  ],
  [
    "certificates whose state and revocation differ",
    `certificates c left join revocations r on r.certificate_id = c.id
       where (r.certificate_id is null and c.state in ('revoked', 'hold'))
       or (r.reason = 'certificateHold' and c.state <> 'hold')
       or (r.reason <> 'certificateHold' and c.state <> 'revoked')`,
  ],
  [
    "revocations that no history tells of",
    `revocations r where not exists
       (select 1 from revocation_events e where e.certificate_id = r.certificate_id)`,
  ],
];

/** One sentence for each kind of row that has lost its other half. */
export async function inspectRows(db: Kysely<unknown>): Promise<string[]> {
  const findings: string[] = [];
  for (const [finding, from] of questions) {
    const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.raw(from)}`.execute(
      db,
    );
    const n = Number(rows[0]?.n ?? 0);
    if (n > 0) findings.push(`The store has ${n} ${finding}.`);
  }
  return findings;
}
