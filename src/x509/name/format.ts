/** Names as text, for people and for `index.txt`. Never compared and never parsed for a decision. */

import { findAttributeType } from "./attribute-types.ts";
import type { DistinguishedName, NameAttribute } from "./make.ts";

/** Controls, line separators, and what reorders or hides text (bidi, zero width, BOM, surrogates). */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** For people: `C=IN, ST=Karnataka, O=Example + OU=a, CN=web`, with everything odd escaped. */
export function formatName(name: DistinguishedName): string {
  const rdns = name.rdns.map((rdn) =>
    rdn.map((attribute) => `${labelOf(attribute)}=${escaped(attribute.value)}`).join(" + "),
  );
  return rdns.join(", ");
}

/**
 * As X509_NAME_oneline of OpenSSL 3 writes it into `index.txt`: `/C=IN/OU=a+CN=web`. Content octets
 * stay as they are, but those that are not printable ASCII become `\xHH`. A `\` stands before `/`
 * and `+`.
 */
export function formatNameOneline(name: DistinguishedName): string {
  return name.rdns.map((rdn) => `/${rdn.map(onelineAttribute).join("+")}`).join("");
}

function onelineAttribute(attribute: NameAttribute): string {
  let text = `${openSslNames[attribute.type] ?? labelOf(attribute)}=`;
  for (const octet of attribute.bytes) {
    if (octet < 0x20 || octet > 0x7e) {
      text += `\\x${octet.toString(16).toUpperCase().padStart(2, "0")}`;
    } else {
      text += octet === 0x2f || octet === 0x2b ? "\\" : "";
      text += String.fromCharCode(octet);
    }
  }
  return text;
}

function labelOf({ type }: NameAttribute): string {
  return findAttributeType(type)?.shortName ?? type;
}

/** Letters, digits and what else stands for itself anywhere: most values are nothing else. */
const plain = /^[\w.:/@*()'?-]+(?: [\w.:/@*()'?-]+)*$/;

function escaped(value: string): string {
  if (plain.test(value)) return value;
  return value
    .replace(/[\\,+"<>;=]/g, "\\$&")
    .replace(/^[ #]/, "\\$&")
    .replace(/(?<=.) $/, "\\ ")
    .replace(unsafe, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** What OpenSSL calls types that have no name in our own table: `index.txt` must agree with it. */
const openSslNames: Readonly<Record<string, string>> = {
  "2.5.4.14": "searchGuide",
  "2.5.4.15": "businessCategory",
  "2.5.4.16": "postalAddress",
  "2.5.4.18": "postOfficeBox",
  "2.5.4.19": "physicalDeliveryOfficeName",
  "2.5.4.20": "telephoneNumber",
  "2.5.4.21": "telexNumber",
  "2.5.4.22": "teletexTerminalIdentifier",
  "2.5.4.23": "facsimileTelephoneNumber",
  "2.5.4.24": "x121Address",
  "2.5.4.25": "internationaliSDNNumber",
  "2.5.4.26": "registeredAddress",
  "2.5.4.27": "destinationIndicator",
  "2.5.4.28": "preferredDeliveryMethod",
  "2.5.4.29": "presentationAddress",
  "2.5.4.30": "supportedApplicationContext",
  "2.5.4.31": "member",
  "2.5.4.32": "owner",
  "2.5.4.33": "roleOccupant",
  "2.5.4.34": "seeAlso",
  "2.5.4.35": "userPassword",
  "2.5.4.36": "userCertificate",
  "2.5.4.37": "cACertificate",
  "2.5.4.38": "authorityRevocationList",
  "2.5.4.39": "certificateRevocationList",
  "2.5.4.40": "crossCertificatePair",
  "2.5.4.45": "x500UniqueIdentifier",
  "2.5.4.47": "enhancedSearchGuide",
  "2.5.4.48": "protocolInformation",
  "2.5.4.49": "distinguishedName",
  "2.5.4.50": "uniqueMember",
  "2.5.4.51": "houseIdentifier",
  "2.5.4.52": "supportedAlgorithms",
  "2.5.4.53": "deltaRevocationList",
  "2.5.4.54": "dmdName",
  "2.5.4.72": "role",
  "2.5.4.98": "c3",
  "2.5.4.99": "n3",
  "0.9.2342.19200300.100.1.3": "mail",
  "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
  "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
  "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
};
