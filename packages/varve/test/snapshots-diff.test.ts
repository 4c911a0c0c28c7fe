import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { openClient } from "@varve/client";
import { labelGcRoot } from "@varve/content";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { expect, test } from "vitest";
import type { Outcome } from "./command.ts";
import { parsed, varve } from "./command.ts";
import { run } from "./layer-scene.ts";
import { tempDirectory } from "./temp.ts";

const isRoot = process.geteuid?.() === 0;

interface Scene extends AsyncDisposable {
  readonly path: string;
  varve(...args: readonly string[]): Promise<Outcome>;
  /** Runs a shell in a snapshot that is mounted for it. */
  write(key: string, script: string): Promise<void>;
}

/** A store with snapshots: `base`, `top` on it, and `work`, which is active, on that. */
async function scene(snapshotter: string, skip: (note: string) => void): Promise<Scene> {
  const temp = await tempDirectory();
  const root = `${temp.path}/store`;
  const target = `${temp.path}/mounted`;
  await mkdir(target);
  const write: Scene["write"] = async (key, script) => {
    await using client = await openClient({ root, snapshotter, durability: "none" });
    await client.mountSnapshot(key, target, { writable: true });
    try {
      await run("sh", ["-c", script], { cwd: target });
    } finally {
      await client.unmount(target);
    }
  };
  await fill(root, { snapshotter, skip, write });
  return {
    path: temp.path,
    varve: (...args) => varve(["--root", root, "--snapshotter", snapshotter, "--progress", "none", ...args]),
    write,
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

interface FillOptions extends Pick<Scene, "write"> {
  readonly snapshotter: string;
  readonly skip: (note: string) => void;
}

async function fill(root: string, { skip, snapshotter: name, write }: FillOptions): Promise<void> {
  await using client = await openClient({ root, snapshotter: name, durability: "none" });
  const snapshotter = await client.snapshotter().catch((error: unknown) => {
    if (hasCode(error, "ERR_NOT_IMPLEMENTED")) skip(`${name} does not work here`);
    throw error;
  });
  // What nothing keeps would go.
  const labels = { [labelGcRoot]: "test" };
  await snapshotter.prepare("one", undefined, { labels });
  await write("one", "mkdir etc var; echo root > etc/passwd; echo x > var/gone; echo y > same");
  await snapshotter.commit("base", "one", { labels });
  await snapshotter.prepare("two", "base", { labels });
  await write("two", "echo user >> etc/passwd; rm var/gone; echo n > 'new\tfile'");
  await snapshotter.commit("top", "two", { labels });
  await snapshotter.prepare("work", "top", { labels });
  await write("work", "echo w > work");
}

/** What is there besides the three snapshots. */
async function leftovers(here: Scene, snapshotter: string): Promise<string[]> {
  await using client = await openClient({ root: `${here.path}/store`, snapshotter });
  const snapshots = await Array.fromAsync((await client.snapshotter()).walk());
  const names = snapshots.map(({ name }) => name).filter((name) => !["base", "top", "work"].includes(name));
  const leases = await Array.fromAsync(client.leases.list());
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  const mounted = mounts.split("\n").filter((line) => line.includes(here.path));
  return [...names, ...leases.map(({ id }) => id), ...mounted, ...(await readdir(`${here.path}/store/mounts`))];
}

/** Directories whose times have changed are changes, too. */
function ofFiles(lines: readonly string[]): string[] {
  return lines.filter((line) => !/^M \/(?:etc|var)?$/.test(line));
}

test.skipIf(!isRoot).for(["native", "overlay"])(
  "snapshots diff lists what a snapshot of %s changes on its parent, or on another one (skipped: only root may mount)",
  async (snapshotter, { skip }) => {
    await using here = await scene(snapshotter, skip);
    const lines = async (...args: readonly string[]): Promise<string[]> => {
      const { code, stdout, stderr } = await here.varve("snapshots", "diff", ...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return stdout.split("\n").slice(0, -1);
    };
    expect(ofFiles(await lines("top"))).toEqual(["M /etc/passwd", String.raw`A /new\x09file`, "D /var/gone"]);
    expect(ofFiles(await lines("base"))).toEqual(
      expect.arrayContaining(["A /etc", "A /etc/passwd", "A /same", "A /var", "A /var/gone"]),
    );
    expect(ofFiles(await lines("work"))).toEqual(["A /work"]);
    expect(ofFiles(await lines("base", "work"))).toEqual(
      expect.arrayContaining(["M /etc/passwd", "D /var/gone", "A /work"]),
    );
    expect(await lines("-q", "work")).toContain("/work");
    const json = parsed(await here.varve("snapshots", "diff", "top", "--json"));
    expect(json).toEqual({ changes: expect.arrayContaining([{ kind: "added", path: "new\tfile" }]) });
    await expect(leftovers(here, snapshotter)).resolves.toEqual([]);
  },
);

test.skipIf(!isRoot).for(["native", "overlay"])(
  "snapshots diff --tar writes a layer that gives a snapshot of %s again (skipped: only root may mount)",
  async (snapshotter, { skip }) => {
    await using here = await scene(snapshotter, skip);
    const target = `${here.path}/target`;
    await mkdir(target);
    for (const key of ["base", "top", "work"]) {
      const layer = `${here.path}/${key}.tar`;
      const outcome = await here.varve("snapshots", "diff", key, "--tar", "-o", layer, "--json");
      expect(outcome).toMatchObject({ code: 0, stderr: "" });
      expect(parsed(outcome)).toMatchObject({ diffId: digestOf(await readFile(layer)), output: layer });
      expect(await here.varve("layer", "apply", layer, target)).toMatchObject({ code: 0, stderr: "" });
    }
    expect((await readdir(target)).toSorted()).toEqual(["etc", "new\tfile", "same", "var", "work"]);
    await expect(readFile(`${target}/etc/passwd`, "utf8")).resolves.toBe("root\nuser\n");
    await expect(readdir(`${target}/var`)).resolves.toEqual([]);
    await expect(leftovers(here, snapshotter)).resolves.toEqual([]);
  },
);

test.skipIf(!isRoot).for(["native", "overlay"])(
  "after a failure nothing of snapshots diff with %s stays, neither views nor mounts (skipped: only root may mount)",
  async (snapshotter, { skip }) => {
    await using here = await scene(snapshotter, skip);
    await here.write("work", "echo > .wh.x");
    const layer = `${here.path}/layer.tar`;
    const outcome = await here.varve("snapshots", "diff", "base", "work", "--tar", "-o", layer);
    expect(outcome).toMatchObject({
      code: 5,
      stdout: "",
      stderr: expect.stringMatching(/^varve: [^\n]*\.wh\.x[^\n]*\n$/),
    });
    await expect(readFile(layer)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(leftovers(here, snapshotter)).resolves.toEqual([]);
    expect(await here.varve("snapshots", "diff", "nope")).toMatchObject({
      code: 3,
      stderr: `varve: snapshot nope: not found (snapshotter ${snapshotter}, namespace default)\n`,
    });
    expect(await here.varve("snapshots", "diff", "top", "nope")).toMatchObject({ code: 3 });
    await expect(leftovers(here, snapshotter)).resolves.toEqual([]);
  },
);

test.each([
  [["-o", "file"], "--output needs --tar"],
  [["--compression", "gzip"], "--compression needs --tar"],
  [["--tar", "--json"], "say --output FILE"],
  [["-q", "--json"], "only one of them"],
])("a wrong command line ends with 2: varve snapshots diff a %j", async (args, message) => {
  await using temp = await tempDirectory();
  await writeFile(`${temp.path}/file`, "");
  const common = ["--root", temp.path, "--snapshotter", "native"];
  expect(await varve([...common, "snapshots", "diff", "a", ...args])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining(message),
  });
});
