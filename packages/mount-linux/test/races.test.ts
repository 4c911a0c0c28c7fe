import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, sandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const tmpfs: Mount = { type: "tmpfs", source: "tmpfs", options: [] };
const program = new URL("swap-child.ts", import.meta.url).pathname;

/** A process that exchanges two names all the time. */
async function startSwapping(a: string, b: string): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, ["--no-warnings", program, a, b], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Undefined, or the code of the error. */
async function codeOf(work: Promise<void>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}

interface Names {
  /** Where to mount, whose name or a part of it is exchanged. */
  readonly target: string;
  /** The same place under its other name. */
  readonly other: string;
}

/** Mounts and unmounts while names change, 100 times and until both outcomes were seen; the canary must not notice. */
async function expectNoHarm(box: Sandbox, canary: string, names: Names): Promise<void> {
  const outcomes = new Set<unknown>();
  for (let round = 0; round < 100 || (outcomes.size < 2 && round < 20_000); round += 1) {
    outcomes.add(await codeOf(mounter.mount([tmpfs], names.target)));
    expect(existsSync(join(box.path, canary, "alive"))).toBe(true);
    do {
      // The place may have either name by now, and the other one is behind the link.
      for (const name of [names.target, names.other]) {
        expect([undefined, "ERR_FAILED_PRECONDITION"]).toContain(await codeOf(mounter.unmount(name)));
      }
      expect(box.mountPoints().filter((point) => point === canary)).toHaveLength(1);
      expect(existsSync(join(box.path, canary, "alive"))).toBe(true);
    } while (box.mountPoints().length > 1);
  }
  expect(outcomes).toEqual(new Set([undefined, "ERR_FAILED_PRECONDITION"]));
}

// K21
describe.skipIf(cannotMount)("while another process exchanges names (needs root on Linux)", () => {
  test("a target and a link: nothing is mounted on or unmounted behind the link", { timeout: 120_000 }, async () => {
    using box = sandbox();
    const [target, canary, link] = [box.directory("target"), box.directory("canary"), join(box.path, "link")];
    await mounter.mount([tmpfs], canary);
    writeFileSync(join(canary, "alive"), "");
    symlinkSync(canary, link);
    await using _ = await startSwapping(target, link);
    await expectNoHarm(box, "canary", { target, other: link });
  });

  test("the directory of a target and a link: nothing either", { timeout: 120_000 }, async () => {
    using box = sandbox();
    const [target, canary] = [box.directory("parent/target"), box.directory("canary/target")];
    await mounter.mount([tmpfs], canary);
    writeFileSync(join(canary, "alive"), "");
    const [parent, link] = [join(box.path, "parent"), join(box.path, "link")];
    symlinkSync(join(box.path, "canary"), link);
    await using _ = await startSwapping(parent, link);
    await expectNoHarm(box, "canary/target", { target, other: join(link, "target") });
  });
});
