import { cp, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { Bench } from "../src/faults/bench.ts";
import { flaws } from "../src/faults/failures.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { twoAtATime } from "../src/faults/parallel.ts";
import { cuts, lostEnds, zeroed } from "../src/faults/tear.ts";
import type { Tear } from "../src/faults/tear.ts";

const missing = await whyNoFaults(["strace"]);

/** Every file below a directory of which the name is like that. */
async function filesIn(root: string, name: RegExp): Promise<string[]> {
  const all = await readdir(root, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** A store as it was left by a process that was killed right before the first call like this, after that step. */
async function killedStore(bench: Bench, name: string, path: RegExp, after: string): Promise<string> {
  const kinds = (await bench.prepare()).filter((kind) => kind.name === name);
  for (const { thread, calls } of kinds) {
    const found = calls.find((one) => one.after === after && path.test(one.call.paths[0] ?? ""));
    if (found === undefined) continue;
    const trace = { ...bench.trace("killed"), thread, inject: `${name}:signal=SIGKILL:when=${found.n}` };
    const root = await bench.copy("killed");
    const { steps, end } = await bench.crew.work(root, { trace });
    expect([end, steps.at(-1)]).toEqual(["killed", after]);
    return root;
  }
  throw new Error(`no ${name} of ${path} after ${after}`);
}

/** Tears every one of the files in every way, each in a copy of its own. */
async function tearAll(
  base: string,
  root: string,
  plan: { readonly files: readonly string[]; readonly tears: readonly Tear[] },
  look: (copy: string) => Promise<readonly string[]>,
): Promise<string[]> {
  const problems: string[] = [];
  const torn = plan.files.flatMap((path) => plan.tears.map((tear) => ({ path, tear })));
  await twoAtATime(torn, async ({ path, tear }, place) => {
    const copy = join(base, place, "store");
    await rm(copy, { recursive: true, force: true });
    await cp(root, copy, { recursive: true, preserveTimestamps: true });
    tear.apply(path.replace(root, copy));
    const found = await look(copy);
    problems.push(...found.map((problem) => `${path.slice(root.length)}, ${tear.name}: ${problem}`));
  });
  return problems;
}

describe.skipIf(missing !== undefined)(`a torn file (privileged${missing === undefined ? "" : `: ${missing}`})`, () => {
  test("of an ingest costs at most its bytes: the next process writes the blob again (K02, K03)", async () => {
    await using directory = await temporaryDirectory();
    const bench = new Bench("content", directory.path);
    // All bytes are written, and those since the resume not synced.
    const root = await killedStore(bench, "fdatasync", /^ingest\/#\.\*$/, "begin");
    // What the other ingest left must survive.
    const others = new Set(await readdir(join(await bench.copy("seeded"), "ingest")));
    const files = (await filesIn(join(root, "ingest"), /^[0-9a-f]{64}\./)).filter(
      (path) => !others.has(basename(path)),
    );
    expect(files).toHaveLength(2);
    const problems = await tearAll(directory.path, root, { files, tears: [...cuts, ...lostEnds, zeroed] }, (copy) =>
      bench.finish(copy, { acknowledged: ["open"], done: ["begin"], after: "power" }),
    );
    expect(problems).toEqual([]);
  });

  test("of the metadata is noticed, or costs what was not in it yet at the last whole state (P07)", async () => {
    await using directory = await temporaryDirectory();
    const bench = new Bench("metadata", directory.path);
    // Late enough for much to be in the write-ahead log only.
    const root = await killedStore(bench, "fsync", /^metadata\.db-wal$/, "delete the lease");
    const files = await filesIn(root, /^metadata\.db(-wal)?$/);
    expect(files).toHaveLength(4);
    const ends: string[] = [];
    const problems = await tearAll(directory.path, root, { files, tears: [...lostEnds, zeroed] }, async (copy) => {
      const { end, failure, stderr } = await bench.crew.work(copy);
      ends.push(end);
      if (end === "done") return bench.crew.finish(copy, { acknowledged: [], after: "power" });
      return failure === undefined ? [`${end}: ${stderr}`] : flaws(failure);
    });
    expect(problems).toEqual([]);
    expect(new Set(ends)).toEqual(new Set(["done", "failed"]));
  });
});
