import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildCorpus } from "@varve-tools/corpus";
import { isWanted } from "../options.ts";
import type { BenchOptions } from "../options.ts";
import { benchSections } from "../sections/bench-sections.ts";
import { snapshotSections, treeSections } from "./sections.ts";
import { layoutVariable } from "./tree-tasks.ts";

const program = join(import.meta.dirname, "task.ts");

/** Makes, commits and removes snapshots, and copies a Debian tree, and prints a table of each. */
export async function benchSnapshots(options: BenchOptions): Promise<void> {
  await benchSections({ sections: snapshotSections, program }, options);
  const isAsked = treeSections.some(({ title, lines }) =>
    lines.some(({ name }) => isWanted(`${title}: ${name}`, options.only)),
  );
  if (!isAsked) return;
  const directory = await mkdtemp(join(tmpdir(), "varve-bench-corpus-"));
  try {
    const corpus = await buildCorpus(process.env["VARVE_CORPUS"] ?? directory);
    process.env[layoutVariable] = corpus.debian;
    // A clone runs TypeScript, whose types are stripped by each thread anew; what is installed has none.
    process.env["NODE_COMPILE_CACHE"] = join(directory, "compiled");
    await benchSections({ sections: treeSections, program, programs: ["cp", "tar"] }, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
