import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { removeStaleTemporaryMounts } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, sandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const program = new URL("stale-child.ts", import.meta.url).pathname;

/** A process that holds two temporary mounts in the directory `temporary`. */
async function startHolder(box: Sandbox, name: string): Promise<ChildProcess> {
  const [source, upper, work] = ["source", "upper", "work"].map((part) => box.directory(`${name}/${part}`));
  writeFileSync(join(source ?? "", `file of ${name}`), "");
  const parameters = ["--no-warnings", program, box.directory("temporary"), source, upper, work];
  const child = spawn(process.execPath, parameters as string[], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

describe.skipIf(cannotMount)("what killed processes leave mounted (needs root on Linux)", () => {
  // K18
  test("is found and detached by another process, and what a living one holds stays", async () => {
    using box = sandbox();
    const directory = box.directory("temporary");
    const [first, second] = await Promise.all([startHolder(box, "first"), startHolder(box, "second")]);
    try {
      expect(box.mountPoints()).toHaveLength(4);
      expect(await removeStaleTemporaryMounts(mounter, directory)).toBe(0);
      await kill(first);
      // Several at once, each of which could take what another is about to.
      const counts = await Promise.all([1, 2, 3].map(() => removeStaleTemporaryMounts(mounter, directory)));
      expect(counts.reduce((sum, count) => sum + count)).toBe(2);
      const left = box.mountPoints();
      expect(left).toHaveLength(2);
      expect(left.every((point) => point.startsWith(`temporary/varve-mount-${second.pid}_`))).toBe(true);
      expect(readdirSync(directory)).toHaveLength(2);
      // Nothing that was mounted has lost a file.
      expect(existsSync(join(box.path, "first/source/file of first"))).toBe(true);
      expect(readdirSync(join(box.path, "first/upper"))).toEqual(["written"]);
    } finally {
      await Promise.all([kill(first), kill(second)]);
    }
    expect(await removeStaleTemporaryMounts(mounter, directory)).toBe(2);
    expect(box.mountPoints()).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });
});
