/** Sizes as people write them: a whole number, a space, a unit. */

const UNITS: Readonly<Record<string, number>> = {
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/**
 * `35 MB` -> 35,000,000 bytes. Units: kB, MB, GB (powers of 1000) and KiB, MiB, GiB (powers of 1024).
 * @returns null for anything else, zero and leading zeros included
 */
export function parseSize(text: string): number | null {
  const match = /^([1-9][0-9]{0,8}) (kB|MB|GB|KiB|MiB|GiB)$/.exec(text);
  const unit = UNITS[match?.[2] ?? ""];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** The shortest size that {@link parseSize} reads as `bytes`, or `N bytes` where no unit fits. */
export function printSize(bytes: number): string {
  const fitting = Object.entries(UNITS).filter(([, unit]) => bytes > 0 && bytes % unit === 0 && bytes / unit < 1e9);
  const [largest] = fitting.sort(([, a], [, b]) => b - a);
  return largest === undefined ? `${bytes} bytes` : `${bytes / largest[1]} ${largest[0]}`;
}
