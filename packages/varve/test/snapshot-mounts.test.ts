import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
// Not exported: the command only ever quotes paths, of which few are odd.
import { mountLines, noteLongOptions } from "../src/actions/mount-lines.ts";
import { exitCodes } from "../src/exit-code.ts";
import { shellWord } from "../src/shell-word.ts";
import { varve } from "./command.ts";
import type { Outcome } from "./command.ts";
import { testStore } from "./store.ts";
import { tempDirectory } from "./temp.ts";

const run = promisify(execFile);
const isRoot = process.geteuid?.() === 0;

/** A store and a directory to mount on, at paths that have to be quoted. */
interface Scene extends AsyncDisposable {
  readonly target: string;
  varve(...args: string[]): Promise<Outcome>;
}

async function scene(snapshotter: string): Promise<Scene> {
  const temp = await tempDirectory();
  const target = join(temp.path, "it's a $target");
  await mkdir(target);
  const common = ["--root", join(temp.path, "a, 'store': x\\y"), "--snapshotter", snapshotter, "--progress", "none"];
  return {
    target,
    varve: (...args) => varve([...common, ...args]),
    [Symbol.asyncDispose]: async () => {
      await takeOffAll(target);
      await temp[Symbol.asyncDispose]();
    },
  };
}

async function takeOffAll(target: string): Promise<void> {
  try {
    for (;;) await run("umount", ["--lazy", target]);
  } catch {
    // Nothing is mounted there any more.
  }
}

/** Runs what the command has printed. */
async function paste({ code, stdout, stderr }: Outcome, env: NodeJS.ProcessEnv = {}): Promise<void> {
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  await run("sh", ["-c", stdout], { env: { ...process.env, ...env } });
}

test.skipIf(!isRoot).for(["native", "overlay"])(
  "the lines of snapshots mounts, pasted into a shell, mount a snapshot by %s (skipped: only root may mount)",
  async (snapshotter, { skip }) => {
    await using here = await scene(snapshotter);
    const { target } = here;
    const prepared = await here.varve("snapshots", "prepare", "one", "--target", target);
    if (prepared.code === exitCodes.unsupported) skip(`${snapshotter} does not work here`);
    await paste(prepared);
    await writeFile(join(target, "first"), "1");
    await takeOffAll(target);
    expect(await here.varve("snapshots", "commit", "base", "one")).toMatchObject({ code: 0, stderr: "" });
    await paste(await here.varve("snapshots", "prepare", "two", "base", "--mounts"), { TARGET: target });
    await writeFile(join(target, "second"), "2");
    await takeOffAll(target);
    expect(await here.varve("snapshots", "commit", "top", "two")).toMatchObject({ code: 0, stderr: "" });
    expect(await here.varve("snapshots", "view", "look", "top")).toMatchObject({ code: 0, stderr: "" });
    await paste(await here.varve("snapshots", "mounts", "look", target));
    expect((await readdir(target)).toSorted()).toEqual(["first", "second"]);
    await expect(writeFile(join(target, "third"), "")).rejects.toMatchObject({ code: "EROFS" });
  },
);

test.skipIf(!isRoot)(
  "varve mount --snapshot shows a snapshot: for reading, or with --rw for writing (skipped: only root may mount)",
  async () => {
    await using here = await scene("native");
    const { target } = here;
    await here.varve("snapshots", "prepare", "work");
    const mount = async (...args: string[]): Promise<void> => {
      const outcome = await here.varve("mount", "--snapshot", "work", target, ...args);
      expect(outcome).toEqual({ code: 0, stdout: `${target}\n`, stderr: "" });
    };
    await mount("--rw");
    await writeFile(join(target, "file"), "text");
    expect(await here.varve("unmount", target)).toMatchObject({ code: 0 });
    await mount("--view");
    await expect(writeFile(join(target, "file"), "")).rejects.toMatchObject({ code: "EROFS" });
    expect(await here.varve("unmount", target)).toMatchObject({ code: 0 });
    const json = await here.varve("mount", "--snapshot", "work", target, "--json");
    expect(json).toMatchObject({ code: 0, stdout: `${JSON.stringify({ snapshot: "work", directory: target })}\n` });
    await expect(readFile(join(target, "file"), "utf8")).resolves.toBe("text");
    expect(await here.varve("unmount", target)).toMatchObject({ code: 0 });
    expect((await here.varve("snapshots", "tree")).stdout).toBe("work (active)\n");
    expect(await here.varve("mount", "--snapshot", "nope", target)).toMatchObject({ code: 3 });
  },
);

// C04
test.skipIf(!isRoot)(
  "what is mounted is neither committed nor removed from under the mount (skipped: only root may mount)",
  async () => {
    await using here = await scene("native");
    const { target } = here;
    await here.varve("snapshots", "prepare", "work");
    await here.varve("mount", "--snapshot", "--rw", "work", target);
    const where = `is mounted on ${target}, unmount that first (snapshotter native, namespace default)`;
    expect(await here.varve("snapshots", "commit", "done", "work")).toEqual({
      code: 1,
      stdout: "",
      stderr: `varve: snapshot work: ${where}\n`,
    });
    const removed = await here.varve("snapshots", "rm", "work", `mount ${target}`);
    expect(removed).toMatchObject({ code: 1, stdout: "" });
    expect(removed.stderr).toContain(`varve: snapshot work: ${where}\n`);
    expect(removed.stderr).toContain(`varve: snapshot mount ${target}: ${where}\n`);
    await writeFile(join(target, "file"), "");
    // Of a mount that was taken off by other means only the record is left, which is in nobody's way.
    await takeOffAll(target);
    expect(await here.varve("snapshots", "commit", "done", "work")).toMatchObject({ code: 0 });
    expect(await here.varve("snapshots", "rm", `mount ${target}`, "done")).toMatchObject({ code: 0, stderr: "" });
  },
);

test("of --rw and --view only one can be had, by the old name, too", async () => {
  await using store = await testStore();
  for (const option of ["--rw", "--writable"]) {
    expect(await store.run(["mount", option, "--view", "app", store.path])).toMatchObject({ code: 2, stdout: "" });
  }
});

test.each(["plain", "a b", "", "it's", "$x `y` \\z", "a\nb\u001B[2Jc'\\d", "\u202E\u2028é", "~", "*", "-n", "#"])(
  "%j is one word for a shell, without what a terminal would act on",
  async (text) => {
    const word = shellWord(text);
    expect(word).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u);
    const { stdout } = await run("bash", ["-c", `printf '%s|' x ${word} y`]);
    expect(stdout).toBe(`x|${text}|y|`);
  },
);

test("each mount of a list is a line, what is mounted further below at its own place", () => {
  const mounts = [
    { type: "bind", source: "/a", options: ["rbind", "ro"] },
    { type: "tmpfs", source: "tmpfs", target: "var/a b", options: [] },
  ];
  expect(mountLines("key", mounts, "/mnt")).toEqual([
    "mount -t bind -o rbind,ro /a /mnt",
    "mount -t tmpfs tmpfs '/mnt/var/a b'",
  ]);
  expect(mountLines("key", mounts, undefined)).toEqual([
    'mount -t bind -o rbind,ro /a "$TARGET"',
    "mount -t tmpfs tmpfs \"$TARGET\"/'var/a b'",
  ]);
});

test("mounts that map ids are not printed as commands, which could not do that", () => {
  const mounts = [{ type: "bind", source: "/a", options: ["rbind", "uidmap=0:1000:1", "gidmap=0:1000:1"] }];
  expect(() => mountLines("key", mounts, "/mnt")).toThrow(expect.objectContaining({ code: "ERR_NOT_IMPLEMENTED" }));
});

/** A mount whose options are that long. */
function overlay(bytes: number): Parameters<typeof noteLongOptions>[0] {
  return [{ type: "overlay", source: "overlay", options: ["ro", "a".repeat(bytes - 3)] }];
}

test("options that mount(2) has no room for are pointed out, unless nobody wants to hear", () => {
  const written: string[] = [];
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  try {
    noteLongOptions(overlay(4095), { progress: "auto" });
    noteLongOptions(overlay(4096), { progress: "none" });
    noteLongOptions(overlay(4096), { progress: "auto", json: true });
    expect(written).toEqual([]);
    noteLongOptions(overlay(4096), { progress: "auto" });
    expect(written).toEqual([expect.stringContaining("4096 bytes")]);
  } finally {
    write.mockRestore();
  }
});
