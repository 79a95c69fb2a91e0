/** Writes an `openssl.cnf` for `openssl ca`, in the order in which the walkthroughs have it. */

export interface RenderedProfile {
  readonly name: string;
  /** Names as OpenSSL knows them, or OIDs. */
  readonly extendedKeyUsage: readonly string[];
  readonly keyUsage: readonly string[] | undefined;
  readonly nsCertType: readonly string[] | undefined;
  readonly nsComment: string | undefined;
  readonly certificatePolicies: readonly string[] | undefined;
  readonly days: number;
}

export interface RenderedCa {
  readonly policy: readonly { readonly name: string; readonly rule: string }[];
  /** The first is what `openssl ca` takes by itself. */
  readonly profiles: readonly RenderedProfile[];
  readonly crlHours: number;
  readonly crlUrl: string | undefined;
}

export function renderOpensslConfig({ policy, profiles, crlHours, crlUrl }: RenderedCa): string {
  const [first] = profiles;
  const commands = profiles.map(
    ({ name, days }) =>
      `#   openssl ca -config openssl.cnf -in X.csr -out X.crt -extensions ${sectionOf(name)} -days ${days}`,
  );
  return `# Written by countersign export openssl. Run openssl ca in this folder.
${commands.join("\n")}
# Alternative names of a request are not copied: give them with -extfile. Or set copy_extensions
# = copy, once everything else in each request has been looked at.

[ ca ]
default_ca = CA_default

[ CA_default ]
dir              = .
certs            = $dir/certs
crl_dir          = $dir/crl
new_certs_dir    = $dir/newcerts
database         = $dir/index.txt
serial           = $dir/serial
crlnumber        = $dir/crlnumber
private_key      = $dir/private/cakey.pem
certificate      = $dir/cacert.pem
default_md       = sha256
default_days     = ${first?.days ?? 30}
default_crl_hours = ${crlHours}
unique_subject   = no
preserve         = no
copy_extensions  = none
policy           = policy_match
${first ? `x509_extensions  = ${sectionOf(first.name)}\n` : ""}crl_extensions   = crl_ext

[ policy_match ]
${policy.map(({ name, rule }) => `${name} = ${rule}`).join("\n")}

[ crl_ext ]
authorityKeyIdentifier = keyid

${profiles.map((profile) => renderProfile(profile, crlUrl)).join("\n")}`;
}

function renderProfile(profile: RenderedProfile, crlUrl: string | undefined): string {
  const lines = [
    `[ ${sectionOf(profile.name)} ]`,
    "basicConstraints = critical, CA:FALSE",
    `keyUsage = critical, ${(profile.keyUsage ?? ["digitalSignature"]).join(", ")}`,
    `extendedKeyUsage = ${profile.extendedKeyUsage.join(", ")}`,
    "subjectKeyIdentifier = hash",
    "authorityKeyIdentifier = keyid",
    ...(crlUrl === undefined ? [] : [`crlDistributionPoints = URI:${crlUrl}`]),
    ...(profile.certificatePolicies
      ? [`certificatePolicies = ${profile.certificatePolicies.join(", ")}`]
      : []),
    ...(profile.nsCertType ? [`nsCertType = ${profile.nsCertType.join(", ")}`] : []),
    ...(profile.nsComment === undefined ? [] : [`nsComment = ${quoted(profile.nsComment)}`]),
  ];
  return `${lines.join("\n")}\n`;
}

/** Sections that openssl itself looks for are not a profile's. */
function sectionOf(profile: string): string {
  return profile === "ca" || profile === "default" ? `profile-${profile}` : profile;
}

/** A value that means itself: within quotes only the backslash and the quote are special. */
function quoted(text: string): string {
  return `"${text.replace(/[\r\n]+/g, " ").replace(/[\\"]/g, "\\$&")}"`;
}
