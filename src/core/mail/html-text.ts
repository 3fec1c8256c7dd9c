/** The text of an HTML page, for reading on a terminal: nothing is run, fetched or laid out. */

const NAMED: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
  ["nbsp", " "],
  ["copy", "©"],
  ["reg", "®"],
  ["trade", "™"],
  ["euro", "€"],
  ["pound", "£"],
  ["sect", "§"],
  ["deg", "°"],
  ["middot", "·"],
  ["bull", "•"],
  ["hellip", "…"],
  ["ndash", "–"],
  ["mdash", "—"],
  ["lsquo", "‘"],
  ["rsquo", "’"],
  ["ldquo", "“"],
  ["rdquo", "”"],
  ["bdquo", "„"],
  ["laquo", "«"],
  ["raquo", "»"],
  ["times", "×"],
  ["shy", ""],
  ["zwnj", ""],
  ["auml", "ä"],
  ["ouml", "ö"],
  ["uuml", "ü"],
  ["Auml", "Ä"],
  ["Ouml", "Ö"],
  ["Uuml", "Ü"],
  ["szlig", "ß"],
  ["eacute", "é"],
  ["egrave", "è"],
  ["agrave", "à"],
  ["ccedil", "ç"],
  ["ntilde", "ñ"],
]);
/** Elements whose content is no text. */
const DROPPED: ReadonlySet<string> = new Set(["script", "style", "title", "template", "textarea", "noscript"]);
const NEW_LINE = /^\/?(?:br|p|div|tr|li|ul|ol|h[1-6]|table|blockquote|pre|hr|section|article|header|footer)$/;
const NEW_PARAGRAPH = /^\/?(?:p|h[1-6]|table|blockquote|ul|ol)$/;
const MAX_LINK_CHARACTERS = 2000;

/** Tags go; blocks become lines; the target of a link is written behind its text. In linear time, never throws. */
export function htmlToText(html: string): string {
  const out = new TextFlow();
  const finder = new Finder(html);
  let link = "";
  for (let at = 0; at < html.length; ) {
    const open = finder.find("<", at);
    out.words(decodeEntities(html.slice(at, open)));
    if (open === html.length) break;
    if (html.startsWith("<!--", open)) {
      at = finder.find("-->", open + 4) + 3;
      continue;
    }
    const name = /^\/?[a-z][a-z0-9]{0,20}|^[!?]/i.exec(html.slice(open + 1, open + 24))?.[0].toLowerCase();
    const close = name === undefined ? html.length : finder.find(">", open);
    if (name === undefined || close === html.length) {
      // No tag: the character itself.
      out.words("<");
      at = open + 1;
      continue;
    }
    at = DROPPED.has(name) ? finder.find(`</${name}`, close) : close + 1;
    if (NEW_LINE.test(name)) out.newLine(NEW_PARAGRAPH.test(name));
    if (name === "td" || name === "th") out.words(" ");
    if (name === "li") out.words("- ");
    if (name === "a") link = linkTarget(html.slice(open, close));
    if (name === "/a" && link !== "") {
      out.words(` <${link}>`);
      link = "";
    }
  }
  return out.text();
}

/** Finds the next place of a mark; that there is none any more is found out once. */
class Finder {
  readonly #text: string;
  #lower: string | undefined;
  readonly #absent = new Set<string>();

  constructor(text: string) {
    this.#text = text;
  }

  /** The length of the text if there is none. */
  find(mark: string, from: number): number {
    if (this.#absent.has(mark)) return this.#text.length;
    const found = this.#haystack(mark).indexOf(mark, from);
    if (found >= 0) return found;
    this.#absent.add(mark);
    return this.#text.length;
  }

  #haystack(mark: string): string {
    if (mark.length < 4) return this.#text;
    // Only ASCII: other letters may change their length.
    this.#lower ??= this.#text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
    return this.#lower;
  }
}

/** Collects words with one blank between them, and lines with at most one empty line between them. */
class TextFlow {
  readonly #pieces: string[] = [];
  #blank = false;
  /** Line ends at the end, as many as are wanted there. */
  #lineEnds = 2;
  #wanted = 0;

  words(text: string): void {
    for (const [piece] of text.matchAll(/[^ \t\r\n\f]+|[ \t\r\n\f]+/g)) {
      if (/^[ \t\r\n\f]/.test(piece)) {
        this.#blank = true;
        continue;
      }
      for (; this.#lineEnds < this.#wanted; this.#lineEnds++) this.#pieces.push("\n");
      if (this.#blank && this.#lineEnds === 0) this.#pieces.push(" ");
      this.#pieces.push(piece);
      this.#blank = false;
      this.#lineEnds = 0;
      this.#wanted = 0;
    }
  }

  newLine(isParagraph: boolean): void {
    this.#wanted = Math.max(this.#wanted, isParagraph ? 2 : 1);
  }

  text(): string {
    return this.#pieces.length === 0 ? "" : `${this.#pieces.join("")}\n`;
  }
}

function linkTarget(tag: string): string {
  const [, double, single, bare] = /\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))/i.exec(tag) ?? [];
  const target = decodeEntities(double ?? single ?? bare ?? "").replace(/\s/g, "");
  return /^(?:https?:|mailto:)/i.test(target) ? target.slice(0, MAX_LINK_CHARACTERS) : "";
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,8}));?/gi, (whole, hex, decimal, name) => {
    if (typeof name === "string") return NAMED.get(name) ?? NAMED.get(name.toLowerCase()) ?? whole;
    const code = typeof hex === "string" ? Number.parseInt(hex, 16) : Number(decimal);
    return code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? "\ufffd" : String.fromCodePoint(code);
  });
}
