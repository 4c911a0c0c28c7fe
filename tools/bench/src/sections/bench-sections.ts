import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, missingPrograms } from "@varve-tools/corpus";
import { isWanted } from "../options.ts";
import type { BenchOptions } from "../options.ts";
import { openStore } from "../store.ts";
import type { Store } from "../store.ts";
import { formatTable } from "../table.ts";
import type { Result } from "./result.ts";
import type { Line, Section } from "./section.ts";

type Results = Map<string, Result[]>;

/** What `benchSections` needs to know besides the lines. */
export interface SectionsUnderTest {
  readonly sections: readonly Section[];
  /** Runs one task in a process of its own: `PROGRAM TASK ROOT SIZE`, and prints its result. */
  readonly program: string;
  /** Needed beside those that make a file system. */
  readonly programs?: readonly string[] | undefined;
}

/** Runs the lines of each section on a new file system each, and prints a table of them. */
export async function benchSections(
  { sections, program, programs = [] }: SectionsUnderTest,
  { runs = 3, only }: BenchOptions,
): Promise<void> {
  const filesystems = new Set(sections.map(({ filesystem = "ext4" }) => filesystem).filter((name) => name !== "tmpfs"));
  const makers = [...filesystems].map((name) => `mkfs.${name}`);
  const missing = await missingPrograms([...makers, "losetup", ...programs]);
  if (process.geteuid?.() !== 0) throw new Error("bench: needs root, to make a file system for each run");
  if (missing.length > 0) throw new Error(`bench: not installed: ${missing.join(", ")}`);
  const directory = await mkdtemp(join(tmpdir(), "varve-bench-"));
  try {
    const store = await openStore(directory, 8);
    try {
      for (const section of sections) {
        const wanted = withNeeded(section.lines, ({ name }) => isWanted(`${section.title}: ${name}`, only));
        if (wanted.length === 0) continue;
        console.log(
          `${format(section, await rounds({ ...section, lines: wanted }, { program, store, runs }), runs)}\n`,
        );
      }
    } finally {
      await store.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The lines that are asked for, what they are held against, and those whose store they go on with. */
function withNeeded(lines: readonly Line[], isAsked: (line: Line) => boolean): readonly Line[] {
  const needed = new Set<Line>();
  for (const [index, line] of lines.toReversed().entries()) {
    const next = lines[lines.length - index];
    const isBase = [...needed].some(({ base }) => base === line.name);
    const isContinued = next?.continues === true && needed.has(next);
    if (isAsked(line) || isBase || isContinued) needed.add(line);
  }
  return lines.filter((line) => needed.has(line));
}

interface Round {
  readonly program: string;
  readonly store: Store;
  readonly runs: number;
}

/** Round by round, every line once, so that what else the machine does strikes all alike. */
async function rounds({ lines, filesystem }: Section, { program, store, runs }: Round): Promise<Results> {
  const results: Results = new Map(lines.map(({ name }) => [name, []]));
  let root = "";
  for (let round = 1; round <= runs; round += 1) {
    for (const { name, task, size, before = [], continues = false } of lines) {
      if (!continues) {
        root = join(await store.fresh(filesystem), "store");
        await mkdir(root);
      }
      for (const earlier of before) await run(program, [earlier, root, String(size)]);
      const result = await run(program, [task, root, String(size)]);
      results.get(name)?.push(result);
      console.error(`round ${round}: ${name}: ${result.seconds.toFixed(2)} s, ${result.peakMegabytes.toFixed(0)} MB`);
    }
  }
  agree(lines, results);
  return results;
}

async function run(program: string, task: readonly string[]): Promise<Result> {
  const { stdout } = await exec(process.execPath, [program, ...task]);
  return JSON.parse(stdout) as Result;
}

/** Who is held against another must have done the same work. */
function agree(lines: readonly Line[], results: Results): void {
  for (const { name, base, size } of lines) {
    const other = lines.find((line) => line.name === base);
    if (other?.size !== size) continue;
    const checks = [...(results.get(name) ?? []), ...(results.get(other.name) ?? [])].map(({ check }) => check);
    const known = new Set(checks.filter((check) => check !== undefined));
    if (known.size > 1) throw new Error(`bench: ${name} and ${other.name} differ: ${[...known].join(", ")}`);
  }
}

function format({ title, columns, lines }: Section, results: Results, runs: number): string {
  const rows = lines.flatMap(({ name, base = "" }) => {
    const own = results.get(name);
    return own === undefined ? [] : [[name, ...columns.map(({ cell }) => cell(own, results.get(base)))]];
  });
  return formatTable([`${title}, ${runs} runs`, ...columns.map(({ head }) => head)], rows);
}
