import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, ftruncateSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { exec } from "#host/exec.ts";
import { makeMark } from "#test/marks/marks.ts";
import { describeFindings, type SearchResult, searchForMarks } from "#test/marks/search.ts";
import { coreDestination, searchCores, searchDeleted, searchSwap, swapAreas } from "#test/marks/system.ts";

const mark = makeMark();
let root: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), "shoal-marks-"));
});

after(async () => {
  await rm(root, { recursive: true });
});

async function folder(name: string): Promise<string> {
  const path = join(root, name);
  await mkdir(path, { recursive: true });
  return path;
}

function places(result: SearchResult): string[] {
  return result.hits.map((hit) => `${hit.where} ${hit.file.slice(root.length + 1)}`).sort();
}

test("clean folders: every file is counted, nothing is found", async () => {
  const path = await folder("clean/a/b");
  for (let i = 0; i < 450; i++) await writeFile(join(path, `file-${i}`), `content ${i}\n`);
  const result = await searchForMarks([join(root, "clean")], [mark]);
  assert.equal(result.filesSearched, 450);
  assert.deepEqual(describeFindings(result), []);
  assert.ok(result.bytesSearched > 450 * 10);
});

test("a mark at the start, the end, and over each border of what is read at once", async () => {
  const path = await folder("borders");
  const chunk = 256 * 1024;
  for (const offset of [0, 1, chunk - 23, chunk - 12, chunk - 1, chunk, 2 * chunk - 5, 3 * chunk - 24]) {
    const content = Buffer.alloc(3 * chunk, "x");
    content.write(mark, offset);
    const file = join(path, `at-${offset}`);
    await writeFile(file, content);
    const { hits } = await searchForMarks([file], [mark]);
    assert.deepEqual(hits, [{ file, mark, encoding: "plain", where: "content", offset: offset + 24, count: 1 }]);
  }
});

test("a folder that is to be left out is not entered, and what lies beside it is", async () => {
  const path = await folder("left-out");
  for (const name of ["in", "out"]) {
    await mkdir(join(path, name));
    await writeFile(join(path, name, "file"), mark);
  }
  const { hits } = await searchForMarks([path], [mark], new Set([join(path, "out")]));
  assert.deepEqual(
    hits.map(({ file }) => file),
    [join(path, "in/file")],
  );
});

test("inside gzip, zstd and xz, whatever the name; second members and frames too", async () => {
  const path = await folder("compressed");
  const text = `${"log line\n".repeat(10_000)}${mark}\n`;
  await writeFile(join(path, "mail.log.1.gz"), gzipSync(text));
  await writeFile(join(path, "no-extension"), gzipSync(text));
  await writeFile(join(path, "two-members.gz"), Buffer.concat([gzipSync("first\n"), gzipSync(text)]));
  await writeFile(join(path, "journal.zst"), zstdCompressSync(text));
  await writeFile(join(path, "two-frames.zst"), Buffer.concat([zstdCompressSync("first\n"), zstdCompressSync(text)]));
  await writeFile(join(path, "old.xz"), (await exec("xz", ["--stdout"], { input: text })).stdout);
  const result = await searchForMarks([path], [mark]);
  assert.deepEqual(result.problems, []);
  const unpacked = { ...result, hits: result.hits.filter((hit) => hit.where !== "content") };
  assert.deepEqual(places(unpacked), [
    "gzip compressed/mail.log.1.gz",
    "gzip compressed/no-extension",
    "gzip compressed/two-members.gz",
    "xz compressed/old.xz",
    "zstd compressed/journal.zst",
    "zstd compressed/two-frames.zst",
  ]);
});

test("damaged compressed files are problems, and what comes before the damage is searched", async () => {
  const path = await folder("damaged");
  const text = `${mark}\n${Array.from({ length: 20_000 }, makeMark).join("\n")}`;
  const gzip = gzipSync(text);
  await writeFile(join(path, "cut.gz"), gzip.subarray(0, gzip.length / 2));
  const xz = (await exec("xz", ["--stdout"], { input: text })).stdout;
  await writeFile(join(path, "cut.xz"), xz.subarray(0, xz.length / 2));
  await writeFile(join(path, "only-magic.zst"), Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff]));
  const result = await searchForMarks([path], [mark]);
  assert.deepEqual(places(result), ["gzip damaged/cut.gz", "xz damaged/cut.xz"]);
  assert.deepEqual(result.problems.map(({ file }) => file.slice(path.length + 1)).sort(), [
    "cut.gz",
    "cut.xz",
    "only-magic.zst",
  ]);
});

test("names of files, folders, pipes, and the targets of links", async () => {
  const path = await folder("names");
  await mkdir(join(path, `folder-${mark}`));
  await writeFile(join(path, `file=${mark}`), "");
  await symlink(`/nowhere/${mark}`, join(path, "link"));
  await exec("mkfifo", [join(path, `pipe-${mark}`)]);
  const result = await searchForMarks([path], [mark]);
  assert.deepEqual(places(result), [
    `link names/link`,
    `name names/file=${mark}`,
    `name names/folder-${mark}`,
    `name names/pipe-${mark}`,
  ]);
  assert.deepEqual(result.problems, []);
});

test("links are not followed, a file with two names is read once", async () => {
  const path = await folder("links/inside");
  const outside = await folder("outside");
  await writeFile(join(outside, "secret"), mark);
  await symlink(outside, join(path, "way-out"));
  await symlink(path, join(path, "circle"));
  await writeFile(join(path, "one"), mark);
  await link(join(path, "one"), join(path, "two"));
  const result = await searchForMarks([path], [mark]);
  assert.equal(result.hits.length, 1);
  assert.equal(result.filesSearched, 1);
});

test("sparse files are searched quickly to the end", async () => {
  const path = join(await folder("sparse"), "lastlog");
  const file = openSync(path, "w");
  ftruncateSync(file, 256 * 1024 ** 2);
  writeSync(file, Buffer.from(mark), 0, 24, 256 * 1024 ** 2 - 10);
  closeSync(file);
  const result = await searchForMarks([path], [mark]);
  assert.deepEqual(
    result.hits.map((hit) => hit.offset),
    [256 * 1024 ** 2 + 14],
  );
});

test("roots that are missing and files that can't be read are problems", async () => {
  const missing = join(root, "missing");
  const result = await searchForMarks([missing, "/proc/self/mem"], [mark]);
  assert.deepEqual(
    result.problems.map((problem) => problem.file),
    [missing, "/proc/self/mem"],
  );
  assert.equal(describeFindings(result).length, 2);
});

test("kernel views below a root are left out", async () => {
  const result = await searchForMarks(["/dev"], [mark]);
  assert.deepEqual(result.hits, []);
  assert.deepEqual(result.problems, []);
});

test("a device that is mounted over a file is not read: it may have no end", async () => {
  const path = join(await folder("devices"), "zero");
  await writeFile(path, "");
  await exec("mount", ["--bind", "/dev/zero", path]);
  try {
    assert.deepEqual(await searchForMarks([join(root, "devices")], [mark]), {
      filesSearched: 0,
      bytesSearched: "zero".length,
      hits: [],
      problems: [],
      vanished: [],
    });
  } finally {
    await exec("umount", [path]);
  }
});

test("the text of /proc/swaps", () => {
  const header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
  assert.deepEqual(swapAreas(header), []);
  assert.deepEqual(swapAreas(`${header}/dev/sda2 partition 1 0 -2\n/swap\\040file\\134 file 1 0 -3\n`), [
    "/dev/sda2",
    "/swap file\\",
  ]);
  assert.throws(() => swapAreas(""));
});

test("swap is searched, and swap that can't be read is a problem", async () => {
  const path = await folder("swap");
  await writeFile(join(path, "swapfile"), Buffer.concat([Buffer.alloc(100_000), Buffer.from(mark)]));
  const list = join(path, "swaps");
  await writeFile(list, `Filename Type Size\n${path}/swapfile file 1 0 -2\n/dev/not-there partition 1 0 -3\n`);
  const result = await searchSwap([mark], list);
  assert.equal(result.hits[0]?.offset, 100_024);
  assert.deepEqual(
    result.problems.map((problem) => problem.file),
    ["/dev/not-there"],
  );
});

test("where cores go", async () => {
  assert.deepEqual(coreDestination("core\n"), "working folder");
  assert.deepEqual(coreDestination("/var/cores/%e.%p\n"), { folder: "/var/cores/" });
  assert.deepEqual(coreDestination("/var/cores/core-%p"), { folder: "/var/cores" });
  assert.deepEqual(coreDestination("|/usr/lib/keeper %P %u\n"), { program: "/usr/lib/keeper" });
  const cores = await folder("cores");
  await writeFile(join(cores, "core.17"), `\x7fELF ${mark}`);
  await writeFile(join(root, "pattern"), `${cores}/core.%p\n`);
  assert.deepEqual(places(await searchCores([mark], join(root, "pattern"))), ["content cores/core.17"]);
});

test("a deleted file that a process holds open is no longer below a root, and found through the process", async () => {
  const path = join(await folder("deleted"), "queue-file");
  await writeFile(path, mark);
  const file = openSync(path, "r");
  const child = spawn("sleep", ["60"], { stdio: ["ignore", "ignore", "ignore", file] });
  try {
    await once(child, "spawn");
    closeSync(file);
    unlinkSync(path);
    assert.deepEqual(
      (await searchForMarks([root], [mark])).hits.filter(({ file: hit }) => hit.includes("queue-file")),
      [],
    );
    const result = await searchDeleted([mark], [child.pid ?? 0]);
    assert.deepEqual(
      result.hits.map((hit) => hit.file),
      [`/proc/${child.pid}/fd/3`],
    );
    assert.deepEqual(result.problems, []);
  } finally {
    child.kill();
    await once(child, "close");
  }
  assert.deepEqual((await searchDeleted([mark], [child.pid ?? 0])).hits, []);
});

test("a machine in namespaces of its own: its memory file systems and its processes' deleted files are searched", async () => {
  const path = await folder("machine");
  const script = `mount -t tmpfs none "$1" && echo ${mark} > "$1/log" && echo ${mark} > "$2" && exec 3< "$2" && rm "$2" && echo ready && sleep 60`;
  const unshare = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"];
  const inside = ["sh", "-c", script, "sh", path, join(root, "gone")];
  const child = spawn("unshare", [...unshare, ...inside], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(child.stdout, "data");
    assert.deepEqual((await searchForMarks([path], [mark])).hits, []);
    const first = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8"));
    const { hits } = await searchForMarks([`/proc/${first}/root${path}/`], [mark]);
    assert.deepEqual(
      hits.map((hit) => hit.file),
      [`/proc/${first}/root${path}/log`],
    );
    const deleted = await searchDeleted([mark], [first]);
    assert.deepEqual(
      deleted.hits.map((hit) => hit.file),
      [`/proc/${first}/fd/3`],
    );
  } finally {
    // It ignores gentler signals while its child runs.
    child.kill("SIGKILL");
    await once(child, "close");
  }
});

test("a root with a final slash is followed, one without is a link like any other", async () => {
  const path = await folder("target");
  await writeFile(join(path, "file"), mark);
  await symlink(path, join(root, "way-in"));
  assert.equal((await searchForMarks([join(root, "way-in")], [mark])).hits.length, 0);
  assert.equal((await searchForMarks([`${join(root, "way-in")}/`], [mark])).hits.length, 1);
});
