// node --expose-gc fuzz.ts HOW BYTES SEED DIRECTORY HEADERS...
// Changes bytes of the headers of real archives, BYTES of them in all, and gives what comes of it to the reader, or to the writer of layers
// for one of its targets. Prints what became of it as JSON; what it does at the moment is in its standard error.
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createLayerWriter, createTarReader } from "@varve/archive";
import { randomFrom } from "../faults/random.ts";
import { Mutator } from "./mutator.ts";

export type FuzzTarget = "directory" | "overlay" | "reader";

/** What a run came to. */
export interface FuzzSummary {
  readonly bytes: number;
  readonly archives: number;
  readonly entries: number;
  /** How often each came: `done`, or the code of an error. */
  readonly ends: Readonly<Record<string, number>>;
  /** Errors that no archive may cause, with what made them. */
  readonly wrong: readonly string[];
  /** Megabytes after a quarter of the work, and the most that there were afterwards. */
  readonly memory: readonly [early: number, peak: number];
  /** Descriptors that are open in the end and were not in the beginning. */
  readonly descriptors: number;
}

const [how = "", bytesText = "", seedText = "", directory = "", ...files] = process.argv.slice(2);
const target = how as FuzzTarget;
const wanted = Number(bytesText);
const random = randomFrom(Number(seedText));
/** So many headers make an archive. */
const window = 48;
const mostWrong = 5;
/** What an archive may be refused with: by this code, or by the system. */
const refusals = new Set(["ERR_INVALID_DATA", "ERR_NOT_IMPLEMENTED", "ERR_RESOURCE_EXHAUSTED", "EFBIG"]);

const headers = files.map((file) => readFileSync(file));
const mutator = new Mutator(random);
const ends: Record<string, number> = {};
const wrong: string[] = [];
let bytes = 0;
let archives = 0;
let entries = 0;
let early = 0;
let peak = 0;

function read(archive: Buffer): void {
  const reader = createTarReader({ entry: () => (entries += 1), data: () => undefined, done: () => undefined });
  // In two pieces, cut somewhere.
  const cut = Math.floor(random() * archive.length);
  reader.write(archive.subarray(0, cut));
  reader.write(archive.subarray(cut));
  reader.end();
}

const roots = { above: join(directory, "above"), root: join(directory, "above/root") };

function apply(archive: Buffer): void {
  rmSync(roots.root, { recursive: true, force: true });
  mkdirSync(roots.root);
  const writer = createLayerWriter(roots.root, {
    target: target === "overlay" ? "overlay" : "directory",
    // Or a single map of a sparse file could ask for all that there is.
    limits: { bytes: 1 << 40 },
  });
  try {
    writer.write(archive);
    entries += writer.end().entries;
  } finally {
    writer.abort();
  }
}

function attempt(archive: Buffer, mutated: string): string {
  try {
    if (target === "reader") read(archive);
    else apply(archive);
    return "done";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "none";
    if (!refusals.has(code) && wrong.length < mostWrong) {
      wrong.push(`${mutated}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    return code;
  }
}

/** Without what is only not collected yet. */
function megabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss / 1e6;
}

const open = (): number => readdirSync("/proc/self/fd").length;
mkdirSync(roots.above, { recursive: true });
attempt(headers[0]?.subarray(0, window * 512) ?? Buffer.alloc(0), "nothing");
const openBefore = open();
for (; bytes < wanted; archives += 1) {
  const tar = headers[archives % headers.length] ?? Buffer.alloc(0);
  const start = 512 * Math.floor(random() * Math.max(1, tar.length / 512 - window));
  const archive = Buffer.concat([tar.subarray(start, start + window * 512), Buffer.alloc(1024)]);
  const changed = mutator.mutate(archive);
  bytes += changed;
  const end = attempt(archive, `archive ${archives}, headers from ${start}`);
  ends[end] = (ends[end] ?? 0) + 1;
  if (early === 0 && bytes > wanted / 4) early = megabytes();
  if (early > 0 && archives % 250 === 0) peak = Math.max(peak, megabytes());
  if (archives % 100 === 0) writeSync(2, `archive ${archives}\n`);
  if (lstatSync(roots.above).nlink > 4) wrong.push(`archive ${archives}: something is beside the root`);
}
const memory = [early, peak] as const;
const summary: FuzzSummary = { bytes, archives, entries, ends, wrong, memory, descriptors: open() - openBefore };
writeSync(1, JSON.stringify(summary));
