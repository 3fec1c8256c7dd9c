/** A text as a QR code of half blocks, two modules to a character, for terminals. */

import makeQrCode from "qrcode-generator";

/** Modules without colour around the code; four are asked for, two do on a screen and save room. */
const QUIET = 2;

/** Lines of `▀`, `▄`, `█` and blanks; light modules are the blocks, since most terminals are dark. */
export function printQrCode(text: string): string[] {
  const code = makeQrCode(0, "L");
  code.addData(text, "Byte");
  code.make();
  const size = code.getModuleCount();
  const isLight = (row: number, column: number): boolean => {
    const isInside = row >= 0 && column >= 0 && row < size && column < size;
    return !isInside || !code.isDark(row, column);
  };
  const lines: string[] = [];
  for (let row = -QUIET; row < size + QUIET; row += 2) {
    let line = "";
    for (let column = -QUIET; column < size + QUIET; column++) {
      const [top, bottom] = [isLight(row, column), isLight(row + 1, column)];
      line += top && bottom ? "█" : top ? "▀" : bottom ? "▄" : " ";
    }
    lines.push(line);
  }
  return lines;
}

/** Shows the code where standard error is a terminal that is large enough. */
export function showQrCode(text: string): void {
  const { stderr } = process;
  if (stderr.isTTY !== true) return;
  const lines = printQrCode(text);
  const columns = lines[0]?.length ?? 0;
  if (columns > stderr.columns || lines.length + 2 > stderr.rows) return;
  // White on black whatever the terminal's colours are: a reader needs the light to be light.
  for (const line of lines) stderr.write(`\x1b[97;40m${line}\x1b[0m\n`);
}
