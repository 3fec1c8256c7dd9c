/** Zone files (RFC 1035, section 5) of the test internet. */

export interface Host {
  /** Fully qualified, without the final dot. */
  name: string;
  /** IPv4 address. */
  address: string;
}

export interface ResourceRecord {
  /** Fully qualified owner name, without the final dot. */
  name: string;
  type: "A" | "MX" | "NS" | "PTR" | "TXT" | "CNAME" | "TLSA";
  /** As in a zone file, names with their final dot; of a TXT record the bare text. */
  data: string;
}

/** Seconds for which answers, positive and negative, may be kept: tests change records and don't wait. */
const keepSeconds = 1;

/** The text of one zone's file. `records` must all be inside the zone. */
export function zoneFile(zone: string, nameServer: string, records: readonly ResourceRecord[]): string {
  const times = `1 60 60 3600 ${keepSeconds}`;
  const head = [
    `$TTL ${keepSeconds}`,
    `${absolute(zone)} SOA ${absolute(nameServer)} hostmaster.${absolute(nameServer)} ${times}`,
    `${absolute(zone)} NS ${absolute(nameServer)}`,
  ];
  const body = records.map(({ name, type, data }) => {
    if (!isInside(name, zone)) throw new TypeError(`record of "${name}" is not inside zone "${zone}"`);
    return `${absolute(name)} ${type} ${type === "TXT" ? textStrings(data) : data}`;
  });
  return `${[...head, ...body].join("\n")}\n`;
}

/** Sorts records into zones: each goes to the longest zone that holds it. The root zone "" takes the rest. */
export function splitIntoZones(
  zones: readonly string[],
  records: readonly ResourceRecord[],
): Map<string, ResourceRecord[]> {
  const longestFirst = [...zones].sort((a, b) => b.length - a.length);
  const split = new Map<string, ResourceRecord[]>(["", ...zones].map((zone) => [zone, []]));
  for (const record of records) {
    const zone = longestFirst.find((candidate) => isInside(record.name, candidate)) ?? "";
    split.get(zone)?.push(record);
  }
  return split;
}

/** The owner name of an address in the reverse tree (RFC 1035, section 3.5). */
export function reverseName(address: string): string {
  return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
}

/** Name with its final dot; the root is a dot alone. */
export function absolute(name: string): string {
  return name === "" ? "." : `${name}.`;
}

function isInside(name: string, zone: string): boolean {
  return zone === "" || name === zone || name.endsWith(`.${zone}`);
}

/** A TXT record's text as quoted strings of at most 255 bytes each. */
function textStrings(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new TypeError(`TXT data "${text}" is not printable ASCII`);
  const strings = text.match(/.{1,255}/g) ?? [""];
  return strings.map((part) => `"${part.replaceAll(/["\\]/g, "\\$&")}"`).join(" ");
}
