/** Whether a text can be the name of a chain, as `chainId` makes it. */
export function isChainId(text: string): boolean {
  return /^[A-Za-z0-9_-]{21}[AQgw]$/.test(text);
}
