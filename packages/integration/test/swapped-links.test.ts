import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { exec } from "@varve-tools/corpus";
import { createLinuxMounter } from "@varve/mount-linux";
import { canCleanup } from "@varve/snapshots";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { codeOf } from "../src/faults/codes.ts";
import { listed } from "../src/faults/listed.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { openSnapshots } from "../src/faults/snapshot-world.ts";
import { fingerprint } from "../src/fingerprint.ts";
import { rounds } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
const tries = rounds(800, 100);
const program = join(import.meta.dirname, "../src/swap-loop.ts");
const mounter = createLinuxMounter({ busyTimeoutMs: 100 });

let base = "";
/** Where everything happens. */
let sandbox = "";
/** What nobody may touch: a file system of its own, with others mounted in it where a snapshot or a target would be. */
let canary = "";

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), "varve-swap-"));
  sandbox = join(base, "sandbox");
  canary = join(base, "canary");
  mkdirSync(sandbox);
  mkdirSync(canary);
  await exec("mount", ["-t", "tmpfs", "none", canary]);
  for (const name of ["fs", "work", "target", "plain"]) {
    mkdirSync(join(canary, name));
    if (name === "target") await exec("mount", ["-t", "tmpfs", "none", join(canary, name)]);
    mkdirSync(join(canary, name, "inside"));
    writeFileSync(join(canary, name, "inside/file"), name);
    writeFileSync(join(canary, name, "file"), name);
  }
});

afterEach(async () => {
  // What is left mounted after a test that has failed, the last first.
  for (const point of mountPoints().toReversed()) if (point.startsWith(base)) await exec("umount", ["-l", point]);
  rmSync(base, { recursive: true, force: true });
});

function mountPoints(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n");
  return lines.map((line) => line.split(" ")[4] ?? "");
}

/** Every mount but those in the sandbox, with its options. */
function mountsOutside(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n");
  // Others come and go on a machine where more is done than this.
  return lines.filter((line) => line.split(" ")[4]?.startsWith(canary));
}

/**
 * Lets a process exchange names while rounds are run, at least `tries` and until it has exchanged as often and `isEnough` (how many
 * that takes is up to the machine), and expects everything outside to be as it was.
 */
async function whileSwapping(
  args: readonly string[],
  body: (round: number) => Promise<void>,
  { isEnough, signal }: { readonly isEnough: () => boolean; readonly signal: AbortSignal },
): Promise<void> {
  const before = { mounts: mountsOutside(), files: fingerprint(canary) };
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  let swaps = 0;
  const lines = createInterface(child.stdout).on("line", (line) => (swaps = Number(line)));
  await once(lines, "line");
  try {
    const wasRace = (): boolean => swaps >= tries && isEnough();
    for (let round = 0; round < tries || !wasRace(); round += 1) {
      signal.throwIfAborted();
      await body(round);
      expect(child.exitCode, "the other process has ended").toBeNull();
    }
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
  process.stdout.write(`swaps: more than ${swaps}\n`);
  expect(mountsOutside()).toEqual(before.mounts);
  expect(fingerprint(canary)).toEqual(before.files);
}

/** How often each came of a call: `done`, or the code of an error. */
class Tally {
  readonly counts: Record<string, number> = {};

  async of<T>(what: string, call: Promise<T>): Promise<T | undefined> {
    try {
      const result = await call;
      this.#count(`${what}: done`);
      return result;
    } catch (error) {
      const code = codeOf(error);
      // An error without a code is one that nobody thought of.
      if (typeof code !== "string") throw error;
      this.#count(`${what}: ${code}`);
      return undefined;
    }
  }

  /** Whether each of these came at least once. */
  has(...all: readonly string[]): boolean {
    return all.every((what) => this.counts[what] !== undefined);
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

// K21
describe.skipIf(missing !== undefined)(
  `names swapped for links by another process, ${tries} rounds (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.for([
      { what: "the target", parts: ["target"], leadsTo: "plain" },
      { what: "the directory of the target", parts: ["parent", "target"], leadsTo: "" },
    ])(
      "$what: nothing is mounted on what a link leads to, nor unmounted from it",
      async ({ parts, leadsTo }, { signal }) => {
        const [first = ""] = parts;
        const source = join(base, "source");
        mkdirSync(source);
        mkdirSync(join(sandbox, ...parts), { recursive: true });
        symlinkSync(join(canary, leadsTo), join(sandbox, "link"));
        const target = join(sandbox, ...parts);
        const elsewhere = join(sandbox, "link", ...parts.slice(1));
        const tally = new Tally();
        const mountAndUnmount = async (round: number): Promise<void> => {
          await tally.of("mount", mounter.mount([{ type: "bind", source, options: ["rw", "rbind"] }], target));
          // The directory may have the other name now; which of them it has, this process cannot know.
          for (const name of [target, elsewhere]) await tally.of("unmount", mounter.unmount(name));
          expect(mountsOutside().length, `round ${round}`).toBe(2);
        };
        // Both must have happened, or it was no race.
        const isEnough = (): boolean => tally.has("mount: done", "mount: ERR_FAILED_PRECONDITION");
        await whileSwapping(["pair", join(sandbox, first), join(sandbox, "link")], mountAndUnmount, {
          isEnough,
          signal,
        });
        process.stdout.write(`${JSON.stringify(tally.counts)}\n`);
        for (const name of [target, elsewhere]) await mounter.unmount(name).catch(() => undefined);
        expect(mountPoints().filter((point) => point.startsWith(sandbox))).toEqual([]);
      },
    );

    test.for(["overlay", "native"] as const)(
      "the directories of snapshots of %s: nothing outside is changed or removed by any call, and a cleanup leaves none",
      async (backend, { signal }) => {
        const root = join(sandbox, backend);
        const target = join(sandbox, "mounted");
        mkdirSync(target);
        await using snapshots = await openSnapshots({ backend, durability: "none" }, sandbox);
        await snapshots.prepare("base key", undefined);
        await snapshots.commit("base", "base key");
        const tally = new Tally();
        const useSnapshots = async (round: number): Promise<void> => {
          const mounts = await tally.of("prepare", snapshots.prepare("key", round % 2 === 0 ? undefined : "base"));
          if (mounts !== undefined) await tally.of("mount", mounter.mount(mounts, target));
          // What is shown there could be written to.
          expect(statSync(target).dev, `round ${round} shows what is outside`).not.toBe(statSync(canary).dev);
          await tally.of("unmount", mounter.unmount(target));
          if (round % 4 === 0) await tally.of("commit", snapshots.commit("name", "key"));
          for (const name of ["key", "name"]) await tally.of("remove", snapshots.remove(name));
          if (round % 10 === 0 && canCleanup(snapshots)) await tally.of("cleanup", snapshots.cleanup());
          expect(mountsOutside().length, `round ${round}`).toBe(2);
        };
        const isEnough = (): boolean => tally.has("prepare: done", "mount: done");
        await whileSwapping(["snapshots", root, canary], useSnapshots, { isEnough, signal });
        process.stdout.write(`${backend}: ${JSON.stringify(tally.counts)}\n`);
        await mounter.unmount(target);
        if (canCleanup(snapshots)) await snapshots.cleanup();
        const left = readdirSync(root).filter((name) => !/^(metadata\.db.*|link.*|stolen-\d+)$/.test(name));
        expect(left.filter((name) => !/^\d+$/.test(name))).toEqual([]);
        expect(left.length).toBeLessThanOrEqual((await listed(snapshots.walk())).length);
      },
    );
  },
);
