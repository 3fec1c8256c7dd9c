/** Text in columns of a terminal. */

const NO_COLUMN = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const TWO_COLUMNS =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]$/u;
/** Marks that take no column may follow a character without end: only so many are looked at for each column. */
const MAX_CHARACTERS_A_COLUMN = 4;

/** Cut to at most `columns`, which `…` shows, and filled up with blanks if `fill` is set. */
export function fitColumns(text: string, columns: number, fill: boolean): string {
  let used = 0;
  let fits = "";
  let fitsBeforeLast = "";
  let characters = 0;
  for (const character of text) {
    const width = widthOf(character);
    characters += 1;
    if (used + width > columns || characters > columns * MAX_CHARACTERS_A_COLUMN) {
      return finish(`${fitsBeforeLast}…`, columns, fill);
    }
    used += width;
    fits += character;
    if (used < columns) fitsBeforeLast = fits;
  }
  return finish(fits, columns, fill);
}

/** Columns that a text takes. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += widthOf(character);
  return columns;
}

function finish(text: string, columns: number, fill: boolean): string {
  return fill ? text + " ".repeat(Math.max(0, columns - columnsOf(text))) : text;
}

function widthOf(character: string): number {
  if (character < "\u0300") return 1;
  if (NO_COLUMN.test(character)) return 0;
  return TWO_COLUMNS.test(character) ? 2 : 1;
}

/** `12 B`, `1.2 kB`, `3.4 MB`: at most eight columns. */
export function readableBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_950) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
