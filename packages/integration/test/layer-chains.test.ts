import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { temporaryDirectory } from "@varve-tools/corpus";
import { withTemporaryMount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { canCheck, canCleanup } from "@varve/snapshots";
import { describe, expect, test } from "vitest";
import { listed } from "../src/faults/listed.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { openSnapshots, upperOf } from "../src/faults/snapshot-world.ts";
import { everyNth, rounds } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
const why = missing === undefined ? "" : `: ${missing}`;
const program = join(import.meta.dirname, "../src/chain-loop.ts");
const chains = rounds(100, 20);
const depth = 10;

interface Told {
  /** The commits that were its own. */
  readonly won: readonly string[];
  /** How often it found a key that was taken. */
  readonly late: number;
}

describe.skipIf(missing !== undefined)(`long chains of layers (privileged${why})`, () => {
  // C09, U-MNT.5: a copy of each layer costs what all below it have.
  test.each([
    // As many as the kernel takes.
    { backend: "overlay", layers: 500 },
    { backend: "native", layers: rounds(60, 30) },
  ] as const)("$layers layers of $backend are built one on the other, and show what each has", async (plan) => {
    const { backend, layers } = plan;
    await using directory = await temporaryDirectory();
    await using snapshots = await openSnapshots({ backend, durability: "none" }, directory.path);
    const mounter = createLinuxMounter();
    const names = Array.from({ length: layers }, (_, index) => `layer ${index}`);
    // To mount so many takes longer with each: without it, what is written is the same.
    const mounted = new Set(everyNth(names, 10));
    for (const [index, name] of names.entries()) {
      const mounts = await snapshots.prepare("building", names[index - 1]);
      const write = async (root: string): Promise<void> => {
        writeFileSync(join(root, name), `only in ${name}`);
        writeFileSync(join(root, "changed"), name);
      };
      await (mounted.has(name) ? withTemporaryMount(mounter, mounts, write) : write(upperOf(mounts)));
      await snapshots.commit(name, "building");
    }
    const top = names.at(-1);
    for (const mounts of [await snapshots.view("a view", top), await snapshots.prepare("active", top)]) {
      await withTemporaryMount(mounter, mounts, async (root) => {
        expect(readdirSync(root).toSorted()).toEqual([...names, "changed"].toSorted());
        for (const name of names) expect(readFileSync(join(root, name), "utf8")).toBe(`only in ${name}`);
        expect(readFileSync(join(root, "changed"), "utf8")).toBe(top);
      });
    }
  });

  // C02
  test.each(["overlay", "native"] as const)(
    `two processes that prepare and commit the same ${chains * depth} keys of %s have one winner each, and a sound store`,
    async (backend) => {
      await using directory = await temporaryDirectory();
      // Made beforehand, so that both come to the first key at the same time.
      await (await openSnapshots({ backend }, directory.path)).close();
      const told = await raceOf(backend, directory.path);
      const names = Array.from({ length: chains * depth }, (_, at) => `${Math.floor(at / depth)}-${at % depth}`);
      expect(told.flatMap(({ won }) => won).toSorted()).toEqual(names.toSorted());
      // Of each chain, the first key is prepared by one when the other comes; of the others most are.
      const late = told.reduce((sum, one) => sum + one.late, 0);
      process.stdout.write(`races, ${backend}: won ${told.map(({ won }) => won.length).join(" and ")}, ${late} late\n`);
      expect(late).toBeGreaterThanOrEqual(chains);
      await expectSound(backend, directory.path, names);
    },
  );
});

/**
 * Lets both go on when both have come to the next key. With the first of each chain, the other goes on when one has prepared it, and
 * that one when the other is done.
 */
async function raceOf(backend: string, root: string): Promise<readonly Told[]> {
  const racers = [startRacer(backend, root), startRacer(backend, root)] as const;
  try {
    let said = await Promise.all(racers.map((racer) => racer.next()));
    for (let key = 0; said.some((line) => !line.startsWith("{")); key += 1) {
      if (said.some((line) => line !== "ready")) throw new Error("one of the processes has failed, as it says above");
      const [one, other] = Math.floor(key / depth) % 2 === 0 ? racers : ([racers[1], racers[0]] as const);
      const isFirst = key % depth === 0;
      one.tell(isFirst ? "h" : "g");
      if (isFirst && (await one.next()) !== "prepared") throw new Error("it was taken by somebody");
      other.tell("g");
      const others = isFirst ? await other.next() : undefined;
      if (isFirst) one.tell("g");
      said = await Promise.all([one.next(), others ?? other.next()]);
    }
    return said.map((line): Told => JSON.parse(line));
  } finally {
    for (const { child } of racers) child.kill("SIGKILL");
  }
}

interface Racer {
  readonly child: ChildProcess;
  readonly next: () => Promise<string>;
  readonly tell: (letter: string) => void;
}

function startRacer(backend: string, root: string): Racer {
  const command = [program, backend, root, String(chains), String(depth)];
  const child = spawn(process.execPath, command, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    child,
    next: async () => String((await lines.next()).value),
    tell: (letter) => void child.stdin.write(letter),
  };
}

/** Exactly these snapshots, each on the one before, each with its files; nothing else on disk, and a record without a fault. */
async function expectSound(backend: "overlay" | "native", root: string, names: readonly string[]): Promise<void> {
  await using snapshots = await openSnapshots({ backend }, root);
  const all = await listed(snapshots.walk());
  expect(all.map(({ name }) => name).toSorted()).toEqual([...names].toSorted());
  for (const { name, kind, parent } of all) {
    const [chain, layer] = name.split("-").map(Number);
    expect({ kind, parent }).toEqual({
      kind: "committed",
      parent: layer === 0 ? undefined : `${chain}-${(layer ?? 0) - 1}`,
    });
  }
  const top = names.slice(0, depth);
  await withTemporaryMount(createLinuxMounter(), await snapshots.view("look", top.at(-1)), async (mounted) => {
    expect(readdirSync(mounted).toSorted()).toEqual(top);
  });
  await snapshots.remove("look");
  // One process may still write to what the other has committed already: nobody does that who waits for what he has mounted.
  const problems = canCheck(snapshots) ? await listed(snapshots.check()) : undefined;
  expect(problems?.filter(({ kind }) => kind !== "changed")).toEqual([]);
  const directories = (): string[] =>
    readdirSync(join(root, backend)).filter((name) => !name.startsWith("metadata.db"));
  // What the loser had made is gone at once, not with the next cleanup.
  expect(directories().filter((name) => !/^\d+$/.test(name))).toEqual([]);
  expect(directories()).toHaveLength(names.length);
  if (canCleanup(snapshots)) await snapshots.cleanup();
  expect(directories()).toHaveLength(names.length);
  const database = new DatabaseSync(join(root, backend, "metadata.db"), { readOnly: true });
  expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  database.close();
}
