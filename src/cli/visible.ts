/** Text of strangers on a terminal: what would steer it, or turn the order of characters around, is shown as an escape. */

// C0 but tab and line end, DEL, C1, the line separators, what embeds, overrides or isolates a direction, lone surrogates.
const STEERING = /(?![\n\t])[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\u202a-\u202e\u2066-\u2069]/gu;
const STEERING_OR_LINE_END = /[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\u202a-\u202e\u2066-\u2069]/gu;

/** Line ends and tabs stay as they are; everything else that steers becomes `\x1b` or `\u202e`. */
export function visibleText(text: string): string {
  return text.replace(STEERING, escapeOf);
}

/** As {@link visibleText}, for text that must stay in one line; tabs become blanks. */
export function visibleLine(text: string): string {
  return text.replaceAll("\t", " ").replace(STEERING_OR_LINE_END, escapeOf);
}

/** JSON in one line that a terminal survives; it says the same. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(STEERING_OR_LINE_END, (character) => `\\u${hex(character, 4)}`);
}

function escapeOf(character: string): string {
  return character.charCodeAt(0) < 0x100 ? `\\x${hex(character, 2)}` : `\\u${hex(character, 4)}`;
}

function hex(character: string, digits: number): string {
  return character.charCodeAt(0).toString(16).padStart(digits, "0");
}
