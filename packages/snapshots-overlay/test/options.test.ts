import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { labelUpperDirectory } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { openOverlaySnapshotter, probeOverlay } from "@varve/snapshots-overlay";
import type { OverlayFeatures, OverlaySnapshotterOptions } from "@varve/snapshots-overlay";
import { expect, test } from "vitest";
import { found } from "./found-options.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;
const flags = ["index", "metacopy", "redirectDirectory", "userXattr", "volatile", "idMapping"] as const;

type Configured = Pick<OverlaySnapshotterOptions, "mountOptions" | "upperdirLabel" | "removal">;

async function opened(path: string, options: Configured): Promise<Snapshotter> {
  return openOverlaySnapshotter({ root: path, durability: "none", ...options });
}

/** The options, directories left out, of an active snapshot and of a view on two layers. */
async function optionsWith(mountOptions?: readonly string[]): Promise<{ active: string[]; view: string[] }> {
  using base = tempRoot();
  await using snapshotter = await opened(base.path, { mountOptions });
  for (const [name, on] of [["A"], ["B", "A"]] as const) {
    await snapshotter.prepare("key", on);
    await snapshotter.commit(name, "key");
  }
  const [active] = await snapshotter.prepare("active", "B");
  const [view] = await snapshotter.view("view", "B");
  return { active: active?.options.slice(3) ?? [], view: view?.options.slice(1) ?? [] };
}

// U-OVL.6
test("what the kernel is found to know is added to active snapshots and views", async () => {
  expect(await optionsWith()).toEqual({ active: found, view: found });
});

// U-OVL.6, ConfiguredIndexNotOverridden
test("an option that is configured is kept, and the others found out come after it", async () => {
  const others = found.filter((option) => option !== "index=off");
  const options = ["index=on", ...others];
  expect(await optionsWith(["index=on"])).toEqual({ active: options, view: options });
  const joined = ["index=on", "xino=off", ...others];
  expect(await optionsWith(["index=on,xino=off"])).toEqual({ active: joined, view: joined });
});

test("an option that the kernel refuses together with a configured one is left out", async () => {
  expect((await optionsWith(["metacopy=on"])).active).toEqual([
    "metacopy=on",
    ...found.filter((o) => o === "index=off"),
  ]);
  expect((await optionsWith(["nfs_export=on"])).active).not.toContain("index=off");
});

// 5.2: options like volatile are not in views
test("volatile is for active snapshots only", async () => {
  expect(await optionsWith(["volatile"])).toEqual({ active: ["volatile", ...found], view: found });
});

test.each([
  "lowerdir=/etc",
  "upperdir=/etc",
  "workdir=/etc",
  "lowerdir+=/etc",
  "datadir+=/etc",
  "xino=off,lowerdir=/etc",
])("the option %s is refused when opening, and nothing is made", async (option) => {
  using base = tempRoot();
  const path = join(base.path, "new");
  await expect(opened(path, { mountOptions: [option] })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringContaining("dir"),
  });
  expect(existsSync(path)).toBe(false);
});

test("the probe says how it knows, and leaves nothing open", () => {
  const before = readdirSync("/proc/self/fd").length;
  const features = probeOverlay();
  expect(readdirSync("/proc/self/fd").length).toBe(before);
  expect(["tried", "read"]).toContain(features.source);
  for (const flag of flags) expect([flag, typeof features[flag]]).toEqual([flag, "boolean"]);
});

function runAs(script: string, command: readonly string[]): string {
  const [program, ...options] = [...command, process.execPath, "--input-type=module", "--eval", script];
  return execFileSync(program, options, { cwd: import.meta.dirname, encoding: "utf8" });
}

test.skipIf(!root)("a process that may not ask the filesystem reads the same (needs root, to give it up)", () => {
  const script = `
    import { probeOverlay } from "@varve/snapshots-overlay";
    import { isSupported } from "@varve/syscalls";
    // What is loaded now may stand in a directory that only root can enter.
    if (!isSupported()) throw new Error("no system calls");
    process.setgroups([]);
    process.setgid(65_534);
    process.setuid(65_534);
    console.log(JSON.stringify(probeOverlay()));
  `;
  const features: OverlayFeatures = JSON.parse(runAs(script, []));
  expect(features).toEqual({ ...probeOverlay(), source: "read" });
});

function canUnshareUsers(): boolean {
  try {
    execFileSync("unshare", ["--user", "--map-root-user", "--mount", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

// U-OVL.6
test.skipIf(!canUnshareUsers())("in a user namespace mounts get userxattr, and work (needs user namespaces)", () => {
  using base = tempRoot();
  const script = `
    import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
    import { checkOverlaySupport, openOverlaySnapshotter } from "@varve/snapshots-overlay";
    import { smallMounter } from "./small-mounter.ts";
    const base = ${JSON.stringify(base.path)};
    const snapshotter = await openOverlaySnapshotter({ root: base + "/root", durability: "none" });
    await checkOverlaySupport(base + "/root");
    const [bind] = await snapshotter.prepare("a", undefined);
    writeFileSync(bind.source + "/lower", "");
    await snapshotter.commit("A", "a");
    const mounts = await snapshotter.prepare("b", "A");
    mkdirSync(base + "/target");
    await smallMounter.mount(mounts, base + "/target");
    writeFileSync(base + "/target/upper", "");
    console.log(mounts[0].options.includes("userxattr"), readdirSync(base + "/target").toSorted().join());
    await snapshotter.close();
  `;
  expect(runAs(script, ["unshare", "--user", "--map-root-user", "--mount"])).toBe("true lower,upper\n");
});

// U-OVL.10
test("a label shows the upper directory of what has one, if that is asked for", async () => {
  using base = tempRoot();
  const of = (id: number): Record<string, string> => ({ [labelUpperDirectory]: join(base.path, `${id}/fs`) });
  {
    await using snapshotter = await opened(base.path, { upperdirLabel: true });
    await snapshotter.prepare("a", undefined, { labels: { own: "label" } });
    expect((await snapshotter.stat("a")).labels).toEqual({ own: "label", ...of(1) });
    await snapshotter.commit("A", "a");
    await snapshotter.view("of-nothing", undefined);
    await snapshotter.view("of-one", "A");
    const infos = await Array.fromAsync(snapshotter.walk());
    const labels = new Map(infos.map((info) => [info.name, info.labels]));
    expect(labels).toEqual(
      new Map([
        ["A", of(1)],
        ["of-nothing", of(2)],
        ["of-one", {}],
      ]),
    );
    expect((await snapshotter.update("A", { own: "label" })).labels).toEqual({ own: "label", ...of(1) });
  }
  await using plain = await opened(base.path, {});
  expect((await plain.stat("A")).labels).toEqual({ own: "label" });
});

// U-OVL.8
test("with removal later, the files of a removed snapshot go at the next cleanup", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none", removal: "later" });
  await snapshotter.prepare("a", undefined);
  await snapshotter.remove("a");
  const litter = (): string[] => readdirSync(base.path).filter((name) => !name.startsWith("metadata.db"));
  expect(litter()).toHaveLength(1);
  await snapshotter.cleanup();
  expect(litter()).toEqual([]);
});
