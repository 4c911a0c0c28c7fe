import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { putImage, putIndex, startRegistry } from "@varve-tools/test-registry";
import { defaultPlatform } from "@varve/oci";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mountsBelow } from "../src/containerd/mounts-below.ts";
import { noRecords, recordsOf } from "../src/containerd/records.ts";
import type { Records } from "../src/containerd/records.ts";
import { missing, startVarveOver } from "../src/containerd/varve-over.ts";
import type { VarveOver } from "../src/containerd/varve-over.ts";
import { images } from "../src/images-under-test.ts";

/** Labels that ours has and Debian's containerd does not write: since 2.2 containerd's own client gives them to what it unpacks. */
const ofNewerClients = ["containerd.io/snapshot/diff-id", "containerd.io/snapshot/parent-chain-id"];

/** The same records without the labels of snapshots that are meant to differ. */
function withoutIntended({ snapshots, ...records }: Records): Records {
  const rest = Object.entries(snapshots).map(([name, { labels, ...info }]) => {
    const kept = Object.entries(labels).filter(([label]) => !ofNewerClients.includes(label));
    return [name, { ...info, labels: Object.fromEntries(kept) }] as const;
  });
  return { ...records, snapshots: Object.fromEntries(rest) };
}

describe.skipIf(missing !== undefined)(
  `what is pulled into a containerd (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let over: VarveOver;

    beforeAll(async () => {
      over = await startVarveOver();
    });
    afterAll(() => over[Symbol.asyncDispose]());

    /** Runs varve over it in a namespace, and gives what it printed. */
    async function run(namespace: string, ...args: readonly string[]): Promise<string> {
      const { status, stderr, stdout } = await over.run(namespace, args);
      expect(status, stderr).toBe(0);
      return stdout;
    }

    async function mustBeEmptyAfterRemoval(namespace: string, reference: string): Promise<void> {
      const ctr = over.containerd.ctrIn(namespace);
      await ctr("images", "rm", "--sync", reference);
      expect(await recordsOf(ctr)).toEqual(noRecords);
    }

    test.each(images.filter(({ name }) => name.startsWith("app:")))(
      "a real image ($name) runs, has the records that ctr gives it, and goes as a whole (S4.11, S4.12, U-GC.9, U-REM.5, P-ACC.6)",
      async ({ name, reference }) => {
        const [ours, theirs] = [`ours-${name.replace(":", "-")}`, `theirs-${name.replace(":", "-")}`];
        const { chainId, layers, snapshotter } = await over.pull(ours, reference);
        expect(snapshotter).toBe("overlayfs");
        expect(layers.map(({ status }) => status)).toEqual(layers.map(() => "unpacked"));
        await over.containerd.ctrIn(theirs)("images", "pull", "--plain-http", reference);

        const ctr = over.containerd.ctrIn(ours);
        const pulled = await recordsOf(ctr);
        expect(Object.keys(pulled.snapshots).toSorted()).toEqual(layers.map((layer) => layer.chainId).toSorted());
        expect(pulled.snapshots[chainId]?.labels).toEqual({
          "containerd.io/snapshot/diff-id": layers.at(-1)?.diffId,
          "containerd.io/snapshot/parent-chain-id": layers.at(-2)?.chainId,
        });
        expect(withoutIntended(pulled)).toEqual(await recordsOf(over.containerd.ctrIn(theirs)));

        const printed = await ctr("run", "--rm", "--net-host", reference, "one", "cat", "/etc/os-release");
        expect(printed).toContain("ID=debian");
        await mustBeEmptyAfterRemoval(ours, reference);
        await mustBeEmptyAfterRemoval(theirs, reference);
      },
    );

    test("of an index one image is pulled, with the records that ctr gives it (S3.3, U-GC.9)", async () => {
      await using registry = await startRegistry();
      const own = { platform: defaultPlatform(), layers: [{ one: "one" }, { two: "two" }] };
      const other = { platform: { os: "linux", architecture: "s390x" }, layers: [{ other: "other" }] };
      const reference = await registry.tag("team/app", await putIndex(registry.content, [other, own]));
      await over.pull("ours-index", reference);
      const ctr = over.containerd.ctrIn("theirs-index");
      await ctr("images", "pull", "--plain-http", reference);
      expect(withoutIntended(await recordsOf(over.containerd.ctrIn("ours-index")))).toEqual(await recordsOf(ctr));
      await mustBeEmptyAfterRemoval("ours-index", reference);
      await mustBeEmptyAfterRemoval("theirs-index", reference);
    });

    test("what ctr has pulled is found, nothing of it is fetched again, and varve lists, checks, exports, pushes, mounts and removes it", async () => {
      await using registry = await startRegistry();
      const reference = await registry.tag("app", await putImage(registry.content, [{ base: "base" }, { top: "top" }]));
      await over.containerd.ctrIn("found")("images", "pull", "--plain-http", reference);
      const before = [...registry.sent];
      const { layers } = await over.pull("found", reference);
      expect(layers.map(({ status }) => status)).toEqual(["exists", "exists"]);
      expect([...registry.sent]).toEqual(before);

      expect(await run("found", "images", "ls", "-q")).toBe(`${reference}\n`);
      await run("found", "images", "check", reference);
      const archive = join(over.directory, "found.tar");
      await run("found", "export", reference, "-o", archive);
      await over.containerd.ctrIn("imported")("images", "import", archive);
      expect(await run("imported", "images", "ls", "-q")).toBe(`${reference}\n`);
      await run("found", "push", reference, reference.replace("/app:", "/elsewhere:"));
      expect(await registry.tags.get("elsewhere", "latest")).toEqual(await registry.tags.get("app", "latest"));

      const place = join(over.directory, "mounted");
      await mkdir(place);
      await run("found", "mount", reference, place);
      expect(await readFile(join(place, "top"), "utf8")).toBe("top");
      await run("found", "unmount", place);
      expect(await mountsBelow(over.directory)).not.toContain(place);

      const removed = { status: 0, stdout: `${reference}\n`, stderr: "" };
      // Without the advice to collect.
      expect(await over.run("found", ["images", "rm", reference, "--progress", "plain"])).toEqual(removed);
      expect(await over.run("imported", ["images", "rm", reference])).toEqual(removed);
      await over.containerd.collect();
      expect(await recordsOf(over.containerd.ctrIn("found"))).toEqual(noRecords);
      expect(await recordsOf(over.containerd.ctrIn("imported"))).toEqual(noRecords);
    });
  },
);
