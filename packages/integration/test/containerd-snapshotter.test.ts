import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec, missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { connectContainerd } from "@varve/containerd";
import { withTemporaryMount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { labelTarget } from "@varve/snapshots";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { directoriesOf, leaksOf, leaksOfContainerd } from "../src/containerd/leaks.ts";
import { listedSnapshots } from "../src/containerd/listed-snapshots.ts";
import { ourSnapshotters, placesIn, servePlugin } from "../src/containerd/snapshot-plugin.ts";
import type { OurSnapshotter, SnapshotPlugin } from "../src/containerd/snapshot-plugin.ts";
import { startContainerd } from "../src/containerd/started-containerd.ts";
import type { Ctr, StartedContainerd } from "../src/containerd/started-containerd.ts";
import { environment } from "../src/images-under-test.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const absent = await missingPrograms(["containerd", "ctr", "runc"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);
const image = `${environment.registry}/app:oci-gzip`;

describe.skipIf(missing !== undefined)(
  `our snapshotters in a real containerd (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let box: Awaited<ReturnType<typeof temporaryDirectory>>;
    let plugin: SnapshotPlugin;
    let containerd: StartedContainerd;
    beforeAll(async () => {
      box = await temporaryDirectory();
      plugin = await servePlugin(box.path);
      const { address } = plugin;
      const proxies = ourSnapshotters.map((name) => ({ name, type: "snapshot", address }) as const);
      containerd = await startContainerd({ directory: join(box.path, "containerd"), proxies });
    });
    afterAll(async () => {
      await containerd.close();
      await plugin.close();
      await box[Symbol.asyncDispose]();
    });

    async function pull(snapshotter: string, ctr: Ctr = containerd.ctr): Promise<void> {
      await ctr("images", "pull", "--plain-http", "--snapshotter", snapshotter, image);
    }

    async function removeImage(name: string = image, ctr: Ctr = containerd.ctr): Promise<void> {
      await ctr("images", "rm", "--sync", name);
    }

    function leaks(snapshotter: OurSnapshotter): Promise<string[]> {
      return leaksOf(plugin.snapshotters[snapshotter], placesIn(box.path)[snapshotter]);
    }

    /** The tree of an image, as containerd mounts it. */
    async function treeOf(snapshotter: string, name: string = image): Promise<Map<string, TreeEntry>> {
      const target = join(box.path, `mounted-${snapshotter}`);
      await mkdir(target, { recursive: true });
      await containerd.ctr("images", "mount", "--snapshotter", snapshotter, name, target);
      try {
        return readTree(target);
      } finally {
        await containerd.ctr("images", "unmount", "--rm", "--snapshotter", snapshotter, target);
      }
    }

    test("both are shown as plugins that are ok (P-ACC.1)", async () => {
      const lines = (await containerd.ctr("plugins", "ls")).split("\n").map((line) => line.trim().split(/\s+/));
      for (const name of ourSnapshotters) {
        expect(lines).toContainEqual(["io.containerd.snapshotter.v1", name, "-", "ok"]);
      }
    });

    test.each(ourSnapshotters)(
      "%s: a pulled image has the chain IDs and the tree that overlayfs gives it, and goes without a trace (P-ACC.3, P-ACC.4, P-ACC.6)",
      async (snapshotter) => {
        await pull("overlayfs");
        await pull(snapshotter);
        const chain = await listedSnapshots(containerd.ctr, "overlayfs");
        expect(chain.length).toBeGreaterThan(2);
        expect(await listedSnapshots(containerd.ctr, snapshotter)).toEqual(chain);
        expect(await directoriesOf(placesIn(box.path)[snapshotter])).toHaveLength(chain.length);
        const wanted = await treeOf("overlayfs");
        expect(wanted.size).toBeGreaterThan(1000);
        expect(compareTrees(await treeOf(snapshotter), wanted)).toEqual([]);
        await removeImage();
        expect(await leaks(snapshotter)).toEqual([]);
        expect(await leaksOfContainerd(join(box.path, "containerd"))).toEqual([]);
      },
    );

    test.each(ourSnapshotters)("%s: an imported image runs, and what it wrote goes with it", async (snapshotter) => {
      const archive = join(box.path, `${snapshotter}.tar`);
      const name = `localhost/${snapshotter}:latest`;
      await exec("skopeo", ["copy", "-q", `oci:${environment.corpus.debian}:latest`, `oci-archive:${archive}:${name}`]);
      await containerd.ctr("images", "import", "--snapshotter", snapshotter, archive);
      const script = "grep ^ID= /etc/os-release; echo written >/new; rm /etc/os-release; cat /new; ls /etc/os-release";
      const run = (id: string, line: string): Promise<string> =>
        containerd.ctr("run", "--rm", "--snapshotter", snapshotter, name, id, "/bin/sh", "-c", line);
      expect(await run("one", `${script} || true`)).toBe("ID=debian\nwritten\n");
      // Each container has its own.
      expect(await run("two", "test ! -e /new && grep ^ID= /etc/os-release")).toBe("ID=debian\n");
      await removeImage(name);
      expect(await leaks(snapshotter)).toEqual([]);
    });

    test.each(ourSnapshotters)(
      "%s: the commands for snapshots do and say what they do with overlayfs (P-ACC.2, P-ACC.9)",
      async (snapshotter) => {
        // It collects garbage soon after something was removed, and a view is garbage at first.
        await containerd.collect();
        const wanted = await playCommands(containerd.ctr, "overlayfs");
        await containerd.collect();
        expect(await playCommands(containerd.ctr, snapshotter)).toEqual(wanted);
        expect(wanted.failures).toHaveLength(failing.length);
        await containerd.collect();
        expect(await leaks(snapshotter)).toEqual([]);
      },
    );

    test.each(ourSnapshotters)(
      "%s: a container goes on while the plugin and containerd are started anew, with the same mounts (P-SN.10)",
      async (snapshotter) => {
        const { ctr } = containerd;
        await pull(snapshotter);
        const mounts = (): Promise<string> =>
          ctr("snapshots", "--snapshotter", snapshotter, "mounts", "/target", "long");
        await ctr("run", "--detach", "--snapshotter", snapshotter, image, "long", "/bin/sleep", "1000");
        try {
          const before = await mounts();
          await plugin.close();
          plugin = await servePlugin(box.path);
          await containerd.restart();
          expect(await mounts()).toBe(before);
          const more = ["tasks", "exec", "--exec-id", "more", "long", "/bin/sh", "-c", "echo more >/more && cat /more"];
          expect(await ctr(...more)).toBe("more\n");
        } finally {
          await ctr("tasks", "kill", "--signal", "SIGKILL", "long");
          await ctr("tasks", "delete", "--force", "long");
          await ctr("containers", "delete", "long");
        }
        const again = ["run", "--rm", "--snapshotter", snapshotter, image, "again", "/bin/echo", "again"];
        expect(await ctr(...again)).toBe("again\n");
        await removeImage();
        expect(await leaks(snapshotter)).toEqual([]);
      },
    );

    test.each(ourSnapshotters)(
      "%s: each namespace has its own of what ctr unpacks, for it does not say what the layers are, and removing one leaves the other",
      async (snapshotter) => {
        const { ctr } = containerd;
        const other = containerd.ctrIn("other");
        await pull(snapshotter);
        const chain = await listedSnapshots(ctr, snapshotter);
        await pull(snapshotter, other);
        expect(await listedSnapshots(other, snapshotter)).toEqual(chain);
        expect(await directoriesOf(placesIn(box.path)[snapshotter])).toHaveLength(2 * chain.length);
        await removeImage();
        expect(await listedSnapshots(ctr, snapshotter)).toEqual([]);
        const run = ["run", "--rm", "--snapshotter", snapshotter, image, "other", "/bin/echo", "still here"];
        expect(await other(...run)).toBe("still here\n");
        await removeImage(image, other);
        expect(await leaks(snapshotter)).toEqual([]);
      },
    );

    test.each(ourSnapshotters)(
      "%s: a layer that one namespace has unpacked by its chain ID serves another, until neither has it (P-SN.4, P-SN.5, P-ACC.7)",
      async (snapshotter) => {
        await using one = connectContainerd({ address: containerd.address, namespace: "one" });
        await using two = connectContainerd({ address: containerd.address, namespace: "two" });
        const [first, second] = [one, two].map((namespace) => namespace.snapshotter(snapshotter));
        if (first === undefined || second === undefined) throw new Error("two have two");
        const mounter = createLinuxMounter();
        const below: string[] = [];
        for (const layer of ["sha256:lower", "sha256:upper"]) {
          const labels = { [labelTarget]: layer, "containerd.io/gc.root": "1" };
          const mounts = await first.prepare(`extract ${layer}`, below.at(-1), { labels });
          await withTemporaryMount(mounter, mounts, (root) => writeFile(join(root, layer), "of one"));
          await first.commit(layer, `extract ${layer}`, { labels });
          const again = second.prepare(`extract ${layer}`, below.at(-1), { labels });
          await expect(again).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
          const { kind, parent } = await second.stat(layer);
          expect([kind, parent]).toEqual(["committed", below.at(-1)]);
          below.push(layer);
        }
        const held = { labels: { "containerd.io/gc.root": "1" } };
        const view = await second.view("view", "sha256:upper", held);
        for (const layer of below.toReversed()) await first.remove(layer);
        await containerd.collect();
        expect(await withTemporaryMount(mounter, view, (root) => readdir(root))).toEqual(below);
        expect(await directoriesOf(placesIn(box.path)[snapshotter])).toHaveLength(below.length);
        for (const name of ["view", ...below.toReversed()]) await second.remove(name);
        await containerd.collect();
        expect(await leaks(snapshotter)).toEqual([]);
      },
    );

    test("nothing of all that was our fault", () => {
      expect(plugin.failures).toEqual([]);
    });
  },
);

/** Each is refused, after what `playCommands` does. */
const failing = [
  ["prepare", "active", "base"],
  ["view", "active", "base"],
  ["prepare", "new", "missing"],
  ["prepare", "new", "active"],
  ["commit", "base", "active"],
  ["commit", "new", "missing"],
  ["commit", "new", "view"],
  ["mounts", "/target", "base"],
  ["mounts", "/target", "missing"],
  ["rm", "base"],
  ["rm", "missing"],
  ["info", "missing"],
  ["usage", "missing"],
];

/** What they print, without what is meant to differ. */
async function playCommands(
  ctr: Ctr,
  snapshotter: string,
): Promise<Readonly<Record<string, unknown>> & { failures: readonly string[] }> {
  const play = (...args: readonly string[]): Promise<string> => ctr("snapshots", "--snapshotter", snapshotter, ...args);
  const info = async (key: string): Promise<unknown> => {
    const { Created: created, Updated: updated, Labels: labels, ...rest } = JSON.parse(await play("info", key));
    // Its value is a time.
    const Labels = { ...labels, "containerd.io/gc.root": "" };
    return {
      ...rest,
      Labels,
      isInOrder: Date.parse(created) <= Date.parse(updated),
      isOfNow: Date.now() - Date.parse(created) < 600_000,
    };
  };
  await play("prepare", "first");
  await play("commit", "base", "first");
  await play("prepare", "active", "base");
  await play("view", "view", "base");
  // What is prepared is kept by a label, a view is not.
  await play("label", "view", "containerd.io/gc.root=1");
  await play("label", "base", "containerd.io/snapshot/x=1", "other=2");
  await play("label", "base", "other=3");
  const failures: string[] = [];
  for (const args of failing) {
    const said = await play(...args).catch((error: unknown) => String(error));
    // The class of it; what comes before has the names of the backend.
    failures.push(`${args.join(" ")}: ${said.trimEnd().split(": ").at(-1)}`);
  }
  const done = {
    listed: await listedSnapshots(ctr, snapshotter),
    tree: await play("tree"),
    infos: [await info("base"), await info("active"), await info("view")],
    sizes: (await play("usage", "-b", "view")).split("\n").map((line) => line.trim().split(/\s+/)),
    failures,
  };
  for (const key of ["view", "active", "base"]) await play("rm", key);
  return done;
}
