/** How far a mail is padded before sealing, so that its size says little (docs/formats/sealed-mail.md, "Padding"). */

/** Small mails differ too much in too little: below this size all look alike. */
export const MIN_PADDED_BYTES = 16 * 1024;

/**
 * Padmé: the next length whose binary form ends in zeros, so many that about log2(log2 length) bits tell it from others
 * of its magnitude; at most 12 % more, in practice 1 to 3. Expects a whole number from 0 to 2^52.
 */
export function paddedLength(bytes: number): number {
  if (bytes <= MIN_PADDED_BYTES) return MIN_PADDED_BYTES;
  const exponent = Math.floor(Math.log2(bytes));
  const significantBits = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - significantBits);
  return Math.ceil(bytes / step) * step;
}
