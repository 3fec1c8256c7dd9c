/** IPv4 addresses and the network of a fleet. */

/** `10.83.0.0/16`: `base` is the first address of the network. */
export interface Network {
  base: string;
  prefixLength: number;
}

/** Dotted decimal without leading zeros -> the 32-bit number, else null. */
export function parseAddress(text: string): number | null {
  const match = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/.exec(text);
  if (match === null) return null;
  let number = 0;
  for (const part of match.slice(1).map(Number)) {
    if (part > 255) return null;
    number = number * 256 + part;
  }
  return number;
}

/** The 32-bit number as dotted decimal. */
export function printAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** Reads `ADDRESS/LENGTH`, length 16 to 20, no bit set behind the length; null for anything else. */
export function parseNetwork(text: string): Network | null {
  const [base = "", length = "", ...rest] = text.split("/");
  const number = parseAddress(base);
  if (rest.length > 0 || number === null || !/^(?:16|17|18|19|20)$/.test(length)) return null;
  const prefixLength = Number(length);
  return isUnicast(number) && number % 2 ** (32 - prefixLength) === 0 ? { base, prefixLength } : null;
}

/** An address that a machine can have on a network: not "this network", loopback, link-local, multicast or reserved. */
export function isUnicast(number: number): boolean {
  const first = Math.floor(number / 2 ** 24);
  const isLinkLocal = Math.floor(number / 2 ** 16) === 169 * 256 + 254;
  return first !== 0 && first !== 127 && first < 224 && !isLinkLocal;
}

/** Whether `number` is one of the network's addresses. */
export function contains(network: Network, number: number): boolean {
  const base = parseAddress(network.base) ?? Number.NaN;
  return number >= base && number < base + 2 ** (32 - network.prefixLength);
}
