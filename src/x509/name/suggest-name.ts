/** What was probably meant by a text that is no name of its kind, in OpenSSL's spelling. */

import { domainToASCII } from "node:url";

/** Whether a text is a name of this kind. */
type NameTest = (kind: "dns" | "ip" | "uri" | "email", text: string) => boolean;

/** `10.0.0.5` → `IP:10.0.0.5`; `a.test:8443` → `DNS:a.test`; undefined when nothing is near. */
export function suggestName(text: string, isName: NameTest): string | undefined {
  const bare = text.trim().replace(/^(dns|ip|uri|email|mailto|upn):(?!\/\/)/i, "");
  if (bare.length > 2048) return undefined;
  const parts = bare.split(/[\s,;]+/).filter((part) => part !== "");
  if (parts.length > 1) {
    const each = parts.slice(0, 20).map((part) => suggestOne(part, isName));
    return each.includes(undefined) || parts.length > 20 ? undefined : each.join(", ");
  }
  return suggestOne(bare, isName);
}

function suggestOne(text: string, isName: NameTest): string | undefined {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?(\[[^\]]*\]|[^/:?#]+)/i.exec(text)?.[1];
  if (host !== undefined) {
    const name = suggestHost(host, isName);
    const uri = isName("uri", text) ? `URI:${text}` : undefined;
    return [name, uri].filter((one) => one !== undefined).join(" or ") || undefined;
  }
  if (isName("email", text)) return `email:${text}`;
  return suggestHost(text, isName);
}

function suggestHost(text: string, isName: NameTest): string | undefined {
  const [, inBrackets, alone] =
    /^(?:\[([^\]]*)\]|([^:/]*))(?::\d{1,5})?(?:\/.*)?$/.exec(text) ?? [];
  for (const one of [text, inBrackets, alone]) {
    if (one === undefined || one === "") continue;
    if (isName("ip", one)) return `IP:${one}`;
    if (isName("dns", one)) return `DNS:${one}`;
    const ascii = /^[\p{L}\p{M}\p{N}.*-]+$/u.test(one) ? domainToASCII(one) : "";
    if (ascii !== "" && isName("dns", ascii)) return `DNS:${ascii}`;
  }
  return undefined;
}
