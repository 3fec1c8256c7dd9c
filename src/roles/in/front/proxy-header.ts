import { isIPv4, isIPv6 } from "node:net";
import { FormatError } from "#core/errors.ts";

export interface Endpoint {
  /** IPv4 or IPv6 address as text. */
  address: string;
  port: number;
}

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

/**
 * The header that tells smtpd whose connection this is: PROXY protocol version 2, TCP over IPv4 or IPv6 (HAProxy,
 * "The PROXY protocol", section 2.2).
 * @throws FormatError ADDRESS
 */
export function proxyHeader(client: Endpoint, server: Endpoint): Buffer {
  const four = isIPv4(client.address) && isIPv4(server.address);
  const addresses = four
    ? [ipv4Bytes(client.address), ipv4Bytes(server.address)]
    : [ipv6Bytes(client.address), ipv6Bytes(server.address)];
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(client.port, 0);
  ports.writeUInt16BE(server.port, 2);
  const body = Buffer.concat([...addresses, ports]);
  // Version 2, command PROXY; family and TCP; length of what follows.
  return Buffer.concat([
    signature,
    Buffer.from([0x21, four ? 0x11 : 0x21, body.length >> 8, body.length & 0xff]),
    body,
  ]);
}

/** An IPv4 address that a socket for both families shows as `::ffff:192.0.2.1` is given as `192.0.2.1`. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address.replace(/%.*$/, "");
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

/** 16 bytes; IPv4 as `::ffff:a.b.c.d`. */
export function ipv6Bytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.concat([Buffer.from("00000000000000000000ffff", "hex"), ipv4Bytes(address)]);
  if (!isIPv6(address)) throw new FormatError("ADDRESS", `"${address}" is no IP address`);
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const [, before = "", four = ""] = dotted ?? [];
  const text =
    dotted === null
      ? address
      : `${before}${ipv4Bytes(four).toString("hex", 0, 2)}:${ipv4Bytes(four).toString("hex", 2)}`;
  const [left = "", right] = text.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const zeros = right === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...Array<string>(zeros).fill("0"), ...tail];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}
