/** What liars do to the archive itself. */

const BLOCK = 512;

/** Where the header of a member begins. */
function headerAt(bytes: Buffer, name: string): number {
  for (let at = 0; at < bytes.length; ) {
    if (bytes.toString("latin1", at, at + 100).replace(/\0+$/, "") === name) return at;
    const size = Number.parseInt(bytes.toString("latin1", at + 124, at + 135), 8);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  throw new RangeError(`no "${name}"`);
}

/** Changes a header and makes its sum right again, as any tar program would take it. */
function withHeader(bytes: Buffer, name: string, change: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  const at = headerAt(copy, name);
  const header = copy.subarray(at, at + BLOCK);
  change(header);
  header.write(" ".repeat(8), 148, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return copy;
}

function renamed(bytes: Buffer, from: string, to: string): Buffer {
  return withHeader(bytes, from, (header) => {
    header.fill(0, 0, 100);
    header.write(to, 0, "latin1");
  });
}

/** A member with these fields, put in front of another. */
function inserted(bytes: Buffer, before: string, name: string, content: string, type: string, link = ""): Buffer {
  const at = headerAt(bytes, before);
  const template = Buffer.from(bytes.subarray(0, BLOCK));
  const data = Buffer.alloc(Math.ceil(content.length / BLOCK) * BLOCK);
  data.write(content, "latin1");
  template.fill(0, 0, 100);
  template.write("proof", 0, "latin1");
  const member = withHeader(template, "proof", (header) => {
    header.fill(0, 0, 100);
    header.write(name, 0, "latin1");
    header.write(content.length.toString(8).padStart(11, "0"), 124, "latin1");
    header.write(type, 156, "latin1");
    header.write(link, 157, "latin1");
  });
  return Buffer.concat([bytes.subarray(0, at), member, data, bytes.subarray(at)]);
}

const HEAD = "ledger/head";

export const tarAttacks: readonly (readonly [name: string, code: string, attack: (bytes: Buffer) => Buffer])[] = [
  ["empty-file", "TAR", () => Buffer.alloc(0)],
  ["nothing-but-the-end", "BUNDLE", () => Buffer.alloc(2 * BLOCK)],
  ["trailing-byte", "TAR", (bytes) => Buffer.concat([bytes, Buffer.from("x")])],
  ["trailing-block", "TAR", (bytes) => Buffer.concat([bytes, Buffer.alloc(BLOCK)])],
  ["second-archive-behind-the-end", "TAR", (bytes) => Buffer.concat([bytes, bytes])],
  ["one-empty-block-as-its-end", "TAR", (bytes) => bytes.subarray(0, -BLOCK)],
  ["without-its-end", "TAR", (bytes) => bytes.subarray(0, -2 * BLOCK)],
  ["cut-in-a-file", "TAR", (bytes) => bytes.subarray(0, headerAt(bytes, HEAD) + BLOCK + 100)],
  ["cut-in-a-header", "TAR", (bytes) => bytes.subarray(0, headerAt(bytes, HEAD) + 100)],
  [
    "huge-size",
    "TAR",
    (bytes) => withHeader(bytes, HEAD, (header) => void header.write("77777777777", 124, "latin1")),
  ],
  [
    "size-in-binary",
    "TAR",
    (bytes) => withHeader(bytes, HEAD, (header) => void header.fill(0xff, 124, 136)),
  ],
  [
    "negative-size",
    "TAR",
    (bytes) => withHeader(bytes, HEAD, (header) => void header.write("-0000000001", 124, "latin1")),
  ],
  [
    "wrong-sum",
    "TAR",
    (bytes) => {
      const copy = Buffer.from(bytes);
      copy.write("000000", headerAt(copy, HEAD) + 148, "latin1");
      return copy;
    },
  ],
  [
    "another-mode",
    "TAR",
    (bytes) => withHeader(bytes, HEAD, (header) => void header.write("0004755", 100, "latin1")),
  ],
  ["another-owner", "TAR", (bytes) => withHeader(bytes, HEAD, (header) => void header.write("root", 265, "latin1"))],
  [
    "times-differ",
    "TAR",
    (bytes) => withHeader(bytes, HEAD, (header) => void header.write("00000000000", 136, "latin1")),
  ],
  [
    "content-behind-a-file",
    "TAR",
    (bytes) => {
      const copy = Buffer.from(bytes);
      copy.write("x", headerAt(copy, "account/chain") - 1, "latin1");
      return copy;
    },
  ],
  ["absolute-name", "BUNDLE", (bytes) => renamed(bytes, HEAD, "/etc/passwd")],
  ["name-that-climbs", "BUNDLE", (bytes) => renamed(bytes, HEAD, "../ledger/head")],
  ["name-with-a-dot", "BUNDLE", (bytes) => renamed(bytes, HEAD, "./ledger/head")],
  ["name-with-an-escape", "TAR", (bytes) => renamed(bytes, HEAD, "ledger/\x1b[2Jhead")],
  ["name-with-a-prefix", "TAR", (bytes) => withHeader(bytes, HEAD, (header) => void header.write("..", 345, "latin1"))],
  [
    "bytes-behind-a-name",
    "TAR",
    (bytes) => withHeader(bytes, HEAD, (header) => void header.write("\0hidden", HEAD.length, "latin1")),
  ],
  ["symbolic-link", "TAR", (bytes) => inserted(bytes, HEAD, "mail", "", "2", "/etc/ssh")],
  ["hard-link", "TAR", (bytes) => inserted(bytes, HEAD, "mail/x", "", "1", "/etc/shadow")],
  ["folder", "TAR", (bytes) => inserted(bytes, HEAD, "ledger/", "", "5")],
  ["extended-header", "TAR", (bytes) => inserted(bytes, HEAD, "x", "26 path=../../.ssh/config\n", "x")],
  ["long-name-of-gnu", "TAR", (bytes) => inserted(bytes, HEAD, "././@LongLink", "../../.ssh/config\0", "L")],
  ["unknown-file", "BUNDLE", (bytes) => inserted(bytes, HEAD, "README", "open me first", "0")],
  ["head-twice", "BUNDLE", (bytes) => inserted(bytes, "ledger/entries", HEAD, "shoal-mailbox-head/v1\n", "0")],
  [
    "parts-out-of-order",
    "BUNDLE",
    (bytes) => {
      const [head, entries] = [headerAt(bytes, HEAD), headerAt(bytes, "ledger/entries")];
      const signers = headerAt(bytes, "ledger/signers");
      return Buffer.concat([
        bytes.subarray(0, signers),
        bytes.subarray(head, entries),
        bytes.subarray(signers, head),
        bytes.subarray(entries),
      ]);
    },
  ],
  [
    "without-entries",
    "BUNDLE",
    (bytes) => Buffer.concat([bytes.subarray(0, headerAt(bytes, "ledger/entries")), Buffer.alloc(2 * BLOCK)]),
  ],
  ["guide-with-a-line-more", "BUNDLE", (bytes) => editedGuide(bytes, (guide) => `${guide}remark trust me\n`)],
  ["guide-without-its-line-end", "BUNDLE", (bytes) => editedGuide(bytes, (guide) => guide.slice(0, -1))],
  ["guide-with-a-huge-number", "BUNDLE", (bytes) => editedGuide(bytes, (g) => g.replace(/^from 0 /m, `from ${"9".repeat(30)} `))],
  [
    "guide-with-another-first-hash",
    "BUNDLE",
    (bytes) => editedGuide(bytes, (g) => g.replace(/^from 0 .*$/m, `from 0 ${"0".repeat(64)}`)),
  ],
  [
    "guide-with-entries-out-of-order",
    "BUNDLE",
    (bytes) => editedGuide(bytes, (g) => `${g}entry 2 ${"0".repeat(64)}\nentry 1 ${"0".repeat(64)}\n`),
  ],
];

/** Puts another guide in the place of the first member. */
function editedGuide(bytes: Buffer, change: (guide: string) => string): Buffer {
  const next = headerAt(bytes, "account/chain");
  const size = Number.parseInt(bytes.toString("latin1", 124, 135), 8);
  const guide = change(bytes.toString("latin1", BLOCK, BLOCK + size));
  const data = Buffer.alloc(Math.ceil(guide.length / BLOCK) * BLOCK);
  data.write(guide, "latin1");
  const header = withHeader(Buffer.from(bytes.subarray(0, BLOCK)), "proof", (block) => {
    block.write(guide.length.toString(8).padStart(11, "0"), 124, "latin1");
  });
  return Buffer.concat([header, data, bytes.subarray(next)]);
}
