/**
 * Finds all needles in a stream of bytes in one pass, whatever their number: an Aho-Corasick automaton. Three readings
 * of the stream run beside each other, each in a state of its own that lives from chunk to chunk, so that chunk borders
 * do not exist:
 *   solid      the bytes as they are
 *   unwrapped  without line breaks, spaces and tabs: base64 bodies, folded headers, grouped hex
 *   unquoted   unwrapped, and =XX and %XX turned into their byte: quoted-printable with soft breaks, URLs
 */

import { type MarkEncoding, type Needle, needlesOf } from "#test/marks/marks.ts";

/** The first hit of a mark in one encoding, and how many there are. */
export interface ScanHit {
  mark: string;
  encoding: MarkEncoding;
  /** Position of the byte after the first hit. */
  end: number;
  count: number;
}

/** The compiled automaton; one serves any number of scanners. */
export interface Automaton {
  /** Class of each byte value; upper and lower case share one. */
  classes: Uint8Array;
  /** `next[state | class]`; states are multiples of {@link width}, and 0 is the start. */
  next: Int32Array;
  /** States from here on end a needle. */
  firstFinal: number;
  /** Needle of a final state, by `state / width`. */
  needles: ReadonlyMap<number, Needle>;
}

/** Classes per state; a power of two. */
const width = 64;
const other = 0;
const alphabet = "\0+/0123456789abcdefghijklmnopqrstuvwxyz";

/** Compiles the automaton for all needles of the marks. */
export function compileMarks(marks: readonly string[]): Automaton {
  const classes = new Uint8Array(256).fill(other);
  for (let byte = 0; byte < 256; byte++) {
    classes[byte] = alphabet.indexOf(String.fromCharCode(byte).toLowerCase().slice(0, 1)) + 1;
  }
  const trie = buildTrie(marks.flatMap(needlesOf), classes);
  return { classes, ...flatten(trie) };
}

interface TrieNode {
  children: Map<number, TrieNode>;
  fail: TrieNode | null;
  needle: Needle | null;
  depth: number;
  number: number;
}

function newNode(depth: number): TrieNode {
  return { children: new Map(), fail: null, needle: null, depth, number: 0 };
}

function buildTrie(needles: readonly Needle[], classes: Uint8Array): TrieNode {
  const start = newNode(0);
  for (const needle of needles) {
    let node = start;
    for (const byte of Buffer.from(needle.text, "latin1")) {
      const symbol = classes[byte] ?? other;
      const child = node.children.get(symbol) ?? newNode(node.depth + 1);
      node.children.set(symbol, child);
      node = child;
    }
    node.needle ??= needle;
  }
  return start;
}

/** Breadth first: sets where a mismatch continues, then writes each state's full row. */
function flatten(start: TrieNode): Omit<Automaton, "classes"> {
  const nodes: TrieNode[] = [start];
  for (const node of nodes) {
    for (const [symbol, child] of node.children) {
      let fail = node.fail;
      while (fail !== null && !fail.children.has(symbol)) fail = fail.fail;
      child.fail = fail?.children.get(symbol) ?? start;
      // A needle that ends inside a longer one is a hit all the same.
      child.needle ??= child.fail.needle;
      nodes.push(child);
    }
  }
  const ordered = [...nodes.filter((node) => node.needle === null), ...nodes.filter((node) => node.needle !== null)];
  for (const [number, node] of ordered.entries()) node.number = number * width;
  const next = new Int32Array(nodes.length * width);
  const needles = new Map<number, Needle>();
  for (const node of nodes) {
    if (node.fail !== null) next.copyWithin(node.number, node.fail.number, node.fail.number + width);
    for (const [symbol, child] of node.children) next[node.number + symbol] = child.number;
    if (node.needle !== null) needles.set(node.number / width, node.needle);
  }
  return { next, needles, firstFinal: (nodes.length - needles.size) * width };
}

const skipped = new Uint8Array(256);
for (const byte of [9, 10, 13, 32]) skipped[byte] = 1;

const hexValue = new Int8Array(256).fill(-1);
for (let byte = 0; byte < 256; byte++) {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(byte).toLowerCase().slice(0, 1));
  hexValue[byte] = digit;
}

/** Where the unquoted reading stands: outside, after the sign, after the sign and one digit (value in the low bits). */
const outside = 0;
const afterSign = 1;
const afterDigit = 16;

/** Scans one stream. Feed it chunk by chunk, then take {@link hits}. */
export class MarkScanner {
  readonly #automaton: Automaton;
  #solid = 0;
  #unwrapped = 0;
  #unquoted = 0;
  #quoting = outside;
  #position = 0;
  readonly #hits = new Map<string, ScanHit>();

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  /** Bytes fed so far. */
  get position(): number {
    return this.#position;
  }

  /** Goes over a hole of `length` zero bytes, longer than any needle, without looking at each. */
  skipZeros(length: number): void {
    this.#solid = 0;
    this.#unwrapped = 0;
    this.#unquoted = 0;
    this.#quoting = outside;
    this.#position += length;
  }

  /** One hit for each mark and encoding that was found. */
  get hits(): ScanHit[] {
    return [...this.#hits.values()];
  }

  feed(chunk: Uint8Array): void {
    const { classes, next, firstFinal } = this.#automaton;
    let solid = this.#solid;
    let unwrapped = this.#unwrapped;
    let unquoted = this.#unquoted;
    let quoting = this.#quoting;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      const symbol = classes[byte] as number;
      solid = next[solid + symbol] as number;
      if (solid >= firstFinal) this.#found(solid, i, false);
      if (skipped[byte] === 1) {
        // A soft line break ends the sign before it; other white space simply isn't there.
        if (quoting !== outside) quoting = outside;
        continue;
      }
      unwrapped = next[unwrapped + symbol] as number;
      if (unwrapped >= firstFinal && unwrapped !== solid) this.#found(unwrapped, i, false);
      if (quoting === outside) {
        if (byte === 0x3d || byte === 0x25) {
          quoting = afterSign;
          continue;
        }
        unquoted = next[unquoted + symbol] as number;
      } else if (quoting === afterSign) {
        const digit = hexValue[byte] as number;
        if (digit >= 0) {
          quoting = afterDigit | digit;
          continue;
        }
        quoting = byte === 0x3d || byte === 0x25 ? afterSign : outside;
        unquoted = next[symbol] as number;
      } else {
        const digit = hexValue[byte] as number;
        const value = (quoting & 15) * 16 + digit;
        quoting = digit < 0 && (byte === 0x3d || byte === 0x25) ? afterSign : outside;
        unquoted = digit < 0 ? (next[symbol] as number) : (next[unquoted + (classes[value] as number)] as number);
      }
      if (unquoted >= firstFinal && unquoted !== unwrapped && unquoted !== solid) this.#found(unquoted, i, true);
    }
    this.#solid = solid;
    this.#unwrapped = unwrapped;
    this.#unquoted = unquoted;
    this.#quoting = quoting;
    this.#position += chunk.length;
  }

  #found(state: number, index: number, quoted: boolean): void {
    const needle = this.#automaton.needles.get(state / width);
    if (needle === undefined) throw new Error(`state ${state} is final and has no needle`);
    const encoding = quoted ? "quoted-printable" : needle.encoding;
    const key = `${encoding} ${needle.mark}`;
    const known = this.#hits.get(key);
    if (known === undefined) {
      this.#hits.set(key, { mark: needle.mark, encoding, end: this.#position + index + 1, count: 1 });
    } else {
      known.count++;
    }
  }
}
