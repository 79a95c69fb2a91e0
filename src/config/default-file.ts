import { BlockList, isIP, isIPv4 } from "node:net";

/** What the first `countersign.yaml` of an authority says. */
export interface DefaultFile {
  readonly name: string;
  readonly publicUrl: string;
  readonly publicHttpUrl: string;
  /** Names and addresses of the service itself, which its own certificate must be allowed to carry. */
  readonly hosts: readonly string[];
  /** Long names of the attributes in the authority's subject; only these can be asked to match. */
  readonly attributes: readonly string[];
  /** Where the listeners are, when not at 0.0.0.0:8443 and :8080. */
  readonly listen?: {
    readonly host?: string;
    readonly port?: number;
    readonly httpPort?: number | false;
  };
  /** Where editors find the JSON Schema, seen from the file. */
  readonly schema?: string;
}

const dnsPatterns = [".example.test", ".internal", "localhost"];
const ipPatterns = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "127.0.0.0/8",
  "::1/128",
  "fd00::/8",
];

/** Renders the commented configuration that a first start writes; `loadConfig` takes it as it is. */
export function renderDefaultConfig(options: DefaultFile): string {
  const { host = "0.0.0.0", port = 8443, httpPort = 8080 } = options.listen ?? {};
  const rule = (name: string) =>
    `${name}: ${options.attributes.includes(name) ? "match" : "optional"}`;
  const dns = [...dnsPatterns, ...options.hosts.filter((name) => !coveredName(name))];
  const ip = [...ipPatterns, ...options.hosts.filter((address) => !coveredAddress(address))];
  return `# yaml-language-server: $schema=${options.schema ?? "../countersign.schema.json"}
#
# Configuration of this authority. Every key: docs/reference/configuration.md.
# Paths are relative to the folder of this file. The environment sets keys too:
# listen.httpPort is COUNTERSIGN_LISTEN_HTTP_PORT. So does --set listen.httpPort=8081.
# Try a change with \`countersign config check\`; SIGHUP reloads it
# (\`countersign config check --against-running\` says what waits for a restart).

name: ${JSON.stringify(options.name)}

# Where clients reach the service. The plain address goes into certificates (CRL, OCSP, issuer).
publicUrl: ${JSON.stringify(options.publicUrl)}
publicHttpUrl: ${JSON.stringify(options.publicHttpUrl)}
listen: { host: ${JSON.stringify(host)}, port: ${port}, httpPort: ${httpPort} }

# sqlite:FILE, or postgres://user@host/database to run more than one node.
database: sqlite:countersign.db

issuer:
  certificate: issuing.crt
  chain: chain.pem
  key: issuing.key
  # passphrase: { file: passphrase.txt }  # or { env: VARIABLE }

policy:
  # match: as in the authority's own certificate. supplied: must be there. optional: may be there.
  # The order here is the order in certificates; what is not named here is not copied.
  subject:
    ${rule("countryName")}
    ${rule("stateOrProvinceName")}
    ${rule("organizationName")}
    organizationalUnitName: optional
    commonName: supplied
    # A name as well: only addresses that subjectAltName.email below allows.
    emailAddress: optional
  # Names that may be certified; a kind without a pattern is refused.
  subjectAltName:
    dns: ${list(dns)}
    ip: ${list(ip)}
    uri: []
    email: []
    wildcard: false
  keys:
    rsa: { min: 2048, max: 8192 }
    ec: [P-256, P-384, P-521]
    ed25519: true

# Kinds of certificates. A profile may tighten subject, subjectAltName and keys of the policy.
profiles:
  client: { extendedKeyUsage: [clientAuth], validity: 30d, maxValidity: 90d }
  server: { extendedKeyUsage: [serverAuth], validity: 30d, maxValidity: 90d }
  peer: { extendedKeyUsage: [clientAuth, serverAuth], validity: 30d, maxValidity: 90d }
  operator: { extendedKeyUsage: [clientAuth], validity: 90d, role: operator }
`;
}

function list(patterns: readonly string[]): string {
  return `[${[...new Set(patterns)].map((pattern) => JSON.stringify(pattern)).join(", ")}]`;
}

/** Covered: by a pattern of the default, or because it is no DNS name at all. */
function coveredName(host: string): boolean {
  return (
    isIP(host) !== 0 ||
    dnsPatterns.some((pattern) =>
      pattern.startsWith(".") ? host.endsWith(pattern) : host === pattern,
    )
  );
}

function coveredAddress(host: string): boolean {
  if (isIP(host) === 0) {
    return true;
  }
  const ranges = new BlockList();
  for (const range of ipPatterns) {
    const [net = "", prefix = "0"] = range.split("/");
    ranges.addSubnet(net, Number(prefix), isIPv4(net) ? "ipv4" : "ipv6");
  }
  return ranges.check(host, isIPv4(host) ? "ipv4" : "ipv6");
}
