/** A YAML file as a tree of the few kinds that a definition uses, each with its place in the text. */

import { isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type YAMLParseError } from "yaml";
import { Lines, type Mistakes, quote } from "./mistakes.ts";

export type Tree =
  /** Text, with or without quotes. */
  | { kind: "text"; at: number; text: string }
  /** What YAML reads as a number, `true`, `false` or `null` when it stands without quotes; as it was written. */
  | { kind: "word"; at: number; text: string }
  | { kind: "list"; at: number; items: Tree[] }
  | { kind: "map"; at: number; entries: MapEntry[] }
  /** A key without a value. */
  | { kind: "nothing"; at: number }
  /** Already reported as a mistake; readers stay silent. */
  | { kind: "refused"; at: number };

/** A key that stands twice has been reported; its entries are all here, so that their values can be checked. */
export interface MapEntry {
  key: string;
  keyAt: number;
  value: Tree;
}

/** Nothing in a definition is nested deeper. */
const MAX_DEPTH = 8;
const MAX_SYNTAX_MISTAKES = 20;
const YAML_EXPECTED = "YAML 1.2 without directives, anchors, aliases, tags or merge keys";

/**
 * Reads YAML 1.2 (core schema), one document. Refused: directives, anchors, aliases, tags, merge keys, a key that stands
 * twice, keys that are not text, control characters, nesting beyond 8.
 * @returns null when the text is not YAML at all: then nothing but the reasons is known.
 */
export function parseTree(text: string, mistakes: Mistakes): Tree | null {
  const stray = /(?![\t\n\r])\p{Cc}|\r(?!\n)|^%.*/mu.exec(text);
  if (stray !== null) {
    mistakes.add(stray.index, "", quote(stray[0]), YAML_EXPECTED);
    return null;
  }
  // The library's own search for duplicate keys takes quadratic time; `mapTree` does it.
  const document = parseDocument(text, { version: "1.2", schema: "core", uniqueKeys: false, prettyErrors: false });
  if (document.errors.length > 0) {
    reportSyntax(document.errors, text, mistakes);
    return null;
  }
  return toTree(document.contents, 0, "", 0, mistakes);
}

function reportSyntax(errors: readonly YAMLParseError[], text: string, mistakes: Mistakes): void {
  const lines = new Lines(text);
  // What follows on the same line is most often a consequence of the first.
  const reported = new Set<number>();
  for (const { code, message, pos } of errors) {
    const { line } = lines.position(pos[0]);
    if (reported.has(line) || reported.size === MAX_SYNTAX_MISTAKES) continue;
    reported.add(line);
    const [reason = ""] = message.split("\n");
    if (code === "MULTIPLE_DOCS") mistakes.add(pos[0], "", "a second document", "one document");
    else mistakes.add(pos[0], "", "malformed YAML", `YAML 1.2 (${reason.charAt(0).toLowerCase()}${reason.slice(1)})`);
  }
}

function toTree(node: Node | null, fallbackAt: number, path: string, depth: number, mistakes: Mistakes): Tree {
  if (node === null) return { kind: "nothing", at: fallbackAt };
  const at = node.range?.[0] ?? fallbackAt;
  if (isAlias(node)) {
    mistakes.add(at, path, quote(`*${node.source}`), YAML_EXPECTED);
    return { kind: "refused", at };
  }
  if ("anchor" in node && node.anchor !== undefined) mistakes.add(at, path, quote(`&${node.anchor}`), YAML_EXPECTED);
  if (node.tag !== undefined) mistakes.add(at, path, quote(node.tag), YAML_EXPECTED);
  if (depth > MAX_DEPTH) {
    mistakes.add(at, path, "deeper nesting", `at most ${MAX_DEPTH} levels`);
    return { kind: "refused", at };
  }
  // A block starts a line or more below its key, which is where a reader looks.
  const blockAt = isScalar(node) || node.flow === true ? at : fallbackAt;
  if (isMap(node)) return mapTree(node.items, blockAt, path, depth, mistakes);
  if (isSeq(node)) {
    const items = node.items.map((item, i) => {
      const child = item as Node | null;
      return toTree(child, child?.range?.[0] ?? at, `${path}[${i}]`, depth + 1, mistakes);
    });
    return { kind: "list", at: blockAt, items };
  }
  if (!isScalar(node)) return { kind: "nothing", at };
  if (typeof node.value === "string") return { kind: "text", at, text: node.value };
  const written = node.source ?? "";
  return written === "" ? { kind: "nothing", at: fallbackAt } : { kind: "word", at, text: written };
}

function mapTree(
  items: readonly { key: unknown; value: unknown }[],
  at: number,
  path: string,
  depth: number,
  mistakes: Mistakes,
): Tree {
  const entries: MapEntry[] = [];
  const seen = new Set<string>();
  for (const { key: keyNode, value: valueNode } of items) {
    const key = toTree(keyNode as Node | null, at, path, depth, mistakes);
    if (key.kind === "refused") continue;
    if (key.kind !== "text") {
      mistakes.add(
        key.at,
        path,
        `${describe(key)} as a key`,
        "a key that is text (in quotes where YAML would read a number or a constant)",
      );
      continue;
    }
    const keyPath = joinPath(path, key.text);
    const value = toTree(valueNode as Node | null, key.at, keyPath, depth + 1, mistakes);
    if (key.text === "<<") {
      mistakes.add(key.at, path, quote("<<"), YAML_EXPECTED);
      continue;
    }
    if (seen.has(key.text)) mistakes.add(key.at, keyPath, "the key a second time", "each key once");
    seen.add(key.text);
    entries.push({ key: key.text, keyAt: key.at, value });
  }
  return { kind: "map", at, entries };
}

/** What stands there, as mistakes name it. */
export function describe(tree: Tree): string {
  switch (tree.kind) {
    case "text":
      return /^[0-9]+$/.test(tree.text) ? `the text ${quote(tree.text)}` : quote(tree.text);
    case "word":
      return /^[0-9]+$/.test(tree.text) ? tree.text : `unquoted ${quote(tree.text)}`;
    case "list":
      return tree.items.length === 0 ? "an empty list" : "a list";
    case "map":
      return tree.entries.length === 0 ? "an empty mapping" : "a mapping";
    case "nothing":
    case "refused":
      break;
  }
  return "nothing";
}

/** `accounts.alice`, and `accounts."a.b"` where the key itself has a dot. */
export function joinPath(path: string, key: string): string {
  const shown = /^[A-Za-z0-9_-]+$/.test(key) ? key : quote(key);
  return path === "" ? shown : `${path}.${shown}`;
}
