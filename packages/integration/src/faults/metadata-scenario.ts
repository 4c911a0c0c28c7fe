import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContentStore } from "@varve/content";
import { labelGcRefContent, labelGcRefSnapshotPrefix, labelGcRoot } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { openMetadata } from "@varve/metadata";
import type { Metadata, Namespace } from "@varve/metadata";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { testBlob } from "./bytes.ts";
import type { TestBlob } from "./bytes.ts";
import { codeOf, mustBeWhole, mustHave } from "./content-scenario.ts";
import { scenarioOf } from "./scenario.ts";
import type { Fault, Scenario, Step } from "./scenario.ts";

type Snapshotter = Awaited<ReturnType<Namespace["snapshotter"]>>;

interface World {
  readonly after: Fault;
  readonly content: ContentStore;
  readonly metadata: Metadata;
  readonly mine: Namespace;
  readonly theirs: Namespace;
  readonly snapshots: Snapshotter;
  /** The keys that this process has prepared: what others left may be half of something. */
  readonly prepared: Set<string>;
  close(): Promise<void>;
}

/** An image as these tests make it: a manifest that refers to a layer and to the snapshot of the layer. */
interface TestImage {
  readonly name: string;
  readonly manifest: TestBlob;
  readonly layer: TestBlob;
  readonly snapshot: string;
}

function testImage(name: string): TestImage {
  return {
    name,
    manifest: testBlob(`manifest ${name}`, 700),
    layer: testBlob(`layer ${name}`, 20_000),
    snapshot: `chain ${name}`,
  };
}

const [kept, old, made] = [testImage("kept"), testImage("old"), testImage("made")];
const lone = testBlob("lone", 3000);
const lease = "work";

/** Everything that is done to the records of a store, over blobs and snapshots on disk. */
export const metadataScenario: Scenario = scenarioOf<World>({
  async seed(root) {
    const world = await open(root, "none");
    await write(world.theirs.content, kept.layer, { [labelGcRoot]: "yes" });
    await world.mine.leases.create({ id: "kept" });
    await write(world.mine.under("kept").content, lone, {});
    for (const image of [kept, old]) {
      await writeImage(world.mine, image);
      await unpack(world, image);
      await world.mine.images.create({ name: image.name, target: targetOf(image) });
    }
    // On top of the old one, so that it takes two steps to get rid of that.
    await world.snapshots.prepare("old child", old.snapshot);
    await world.close();
  },
  open,
  close: (world) => world.close(),
  async sound(world) {
    const { mine, theirs, content } = world;
    await mustBeWhole(content);
    await mustBeWhole(mine.content);
    for (const blob of [kept.manifest, kept.layer, lone]) await mustHave(mine.content, blob);
    await mustHave(theirs.content, kept.layer);
    assert.equal((await mine.images.get(kept.name)).target.digest, kept.manifest.expected.digest);
    await mustBeUnpacked(world, kept);
    // No tag points to what is not there.
    for await (const { target } of mine.images.list()) await mine.content.info(target.digest);
    for await (const { name, kind } of world.snapshots.walk()) {
      const image = [kept, old, made].find(({ snapshot }) => snapshot === name);
      if (kind === "committed" && image !== undefined) await mustBeUnpacked(world, image);
    }
  },
  settle: async ({ metadata }) => void (await metadata.collect({ ingestAgeMs: 0 })),
  steps: [
    {
      name: "create the lease",
      run: async ({ mine }) =>
        void (await mine.leases.create({ id: lease, labels: { by: "test" } }).catch(unless("ERR_ALREADY_EXISTS"))),
      check: async ({ mine }) =>
        assert.deepEqual(
          (await listed(mine.leases.list())).map(({ id }) => id),
          ["kept", lease],
        ),
    },
    {
      name: "write the blobs",
      run: ({ mine }) => writeImage(mine.under(lease), made),
      async check({ mine }) {
        await mustHave(mine.content, made.layer);
        await mustHave(mine.content, made.manifest);
        assert.equal(
          (await mine.content.info(made.manifest.expected.digest)).labels[`${labelGcRefContent}.l.0`],
          made.layer.expected.digest,
        );
      },
    },
    {
      name: "share a blob",
      run: ({ theirs }) => write(theirs.content, made.manifest, { [labelGcRoot]: "yes" }),
      check: ({ theirs }) => mustHave(theirs.content, made.manifest),
    },
    {
      name: "label",
      run: async ({ mine }) => void (await mine.content.label(made.layer.expected.digest, { colour: "green" })),
      async check({ mine }) {
        assert.equal((await mine.content.info(made.layer.expected.digest)).labels["colour"], "green");
      },
    },
    {
      name: "hold a resource",
      run: ({ mine }) => mine.leases.add("kept", { type: "content", id: made.layer.expected.digest }),
      check: async ({ mine }) => assert.equal((await listed(mine.leases.resources("kept"))).length, 2),
    },
    {
      name: "prepare",
      run: (world) => prepare(world, made),
      check: async ({ snapshots }) => void (await snapshots.stat("made key")),
    },
    {
      name: "commit the snapshot",
      undoes: "prepare",
      run: (world) => unpack(world, made),
      check: (world) => mustBeUnpacked(world, made),
    },
    {
      name: "prepare and remove",
      async run({ snapshots }) {
        await snapshots.prepare("passing", undefined).catch(unless("ERR_ALREADY_EXISTS"));
        const [mount] = await snapshots.mounts("passing");
        writeFileSync(join(mount?.source ?? "", "file"), "x");
        await snapshots.remove("passing");
      },
      check: ({ snapshots }) => assert.rejects(snapshots.stat("passing"), { code: "ERR_NOT_FOUND" }),
    },
    {
      name: "create the image",
      run: async ({ mine }) =>
        void (await mine.images
          .create({ name: made.name, target: targetOf(kept) })
          .catch(unless("ERR_ALREADY_EXISTS"))),
      check: async ({ mine }) => void (await mine.images.get(made.name)),
    },
    {
      name: "move the tag",
      run: async ({ mine }) => void (await mine.images.put({ name: made.name, target: targetOf(made) })),
      async check({ mine }) {
        assert.equal((await mine.images.get(made.name)).target.digest, made.manifest.expected.digest);
      },
    },
    {
      name: "update the image",
      run: async ({ mine }) => void (await mine.images.update(made.name, { labels: { colour: "blue" } })),
      check: async ({ mine }) => assert.equal((await mine.images.get(made.name)).labels["colour"], "blue"),
    },
    {
      name: "delete the image",
      run: ({ mine }) => mine.images.delete(old.name).catch(unless("ERR_NOT_FOUND")),
      check: ({ mine }) => assert.rejects(mine.images.get(old.name), { code: "ERR_NOT_FOUND" }),
    },
    {
      name: "remove the child",
      run: ({ snapshots }) => snapshots.remove("old child").catch(unless("ERR_NOT_FOUND")),
      check: ({ snapshots }) => assert.rejects(snapshots.stat("old child"), { code: "ERR_NOT_FOUND" }),
    },
    {
      name: "delete the lease",
      undoes: "create the lease",
      run: ({ mine }) => mine.leases.delete(lease).catch(unless("ERR_NOT_FOUND")),
      check: async ({ mine }) =>
        assert.deepEqual(
          (await listed(mine.leases.list())).map(({ id }) => id),
          ["kept"],
        ),
    },
    collecting(),
  ],
});

function collecting(): Step<World> {
  return {
    name: "collect",
    async run({ metadata }) {
      const { failed } = await metadata.collect({ ingestAgeMs: 0 });
      const [first] = failed;
      if (first !== undefined) throw first.error;
    },
    async check({ content, snapshots }) {
      for (const { expected } of [old.manifest, old.layer]) {
        await assert.rejects(content.info(expected.digest), { code: "ERR_NOT_FOUND" });
      }
      await assert.rejects(snapshots.stat(old.snapshot), { code: "ERR_NOT_FOUND" });
    },
  };
}

async function open(root: string, after: Fault): Promise<World> {
  const content = await openContentStore({ root: join(root, "content") });
  const native = await openNativeSnapshotter({ root: join(root, "native") });
  const snapshotters = { used: async () => ["native"], get: async () => native };
  const metadata = await openMetadata({ path: join(root, "metadata.db"), content, snapshotters });
  const mine = metadata.namespace("mine");
  const close = async (): Promise<void> => {
    await metadata.close();
    await native.close();
    await content.close();
  };
  return {
    after,
    content,
    metadata,
    mine,
    theirs: metadata.namespace("theirs"),
    snapshots: await mine.snapshotter("native"),
    prepared: new Set(),
    close,
  };
}

function targetOf({ manifest }: TestImage): {
  mediaType: string;
  digest: TestBlob["expected"]["digest"];
  size: number;
} {
  return { mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest.expected };
}

async function writeImage({ content }: Namespace, { manifest, layer, snapshot }: TestImage): Promise<void> {
  await write(content, layer, { [`${labelGcRefSnapshotPrefix}native`]: snapshot });
  await write(content, manifest, { [`${labelGcRefContent}.l.0`]: layer.expected.digest });
}

/**
 * Goes on where an earlier writer stopped, and gives the blob its labels: in one step with the commit, but a process that
 * finds the blob there must give them too, as whoever wrote it may have been killed before that.
 */
async function write(
  content: Namespace["content"],
  blob: TestBlob,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const { bytes, expected } = blob;
  const writer = await content.writer(`ref ${expected.digest}`, { expected }).catch(unless("ERR_ALREADY_EXISTS"));
  try {
    const offset = writer?.status().offset ?? 0;
    if (offset < bytes.byteLength) await writer?.write(bytes.subarray(offset));
    const committed = await writer?.commit({}, { labels }).catch(unless("ERR_ALREADY_EXISTS"));
    if (committed === undefined) await content.label(expected.digest, labels);
  } finally {
    await writer?.close();
  }
}

/** The snapshot that is to become the one of the image, with its file. */
async function prepare({ snapshots, prepared }: World, { name, layer, snapshot }: TestImage): Promise<void> {
  const key = `${name} key`;
  if ((await snapshots.stat(snapshot).catch(unless("ERR_NOT_FOUND"))) !== undefined) return;
  if ((await snapshots.stat(key).catch(unless("ERR_NOT_FOUND"))) !== undefined) await snapshots.remove(key);
  const [mount] = await snapshots.prepare(key, undefined);
  writeFileSync(join(mount?.source ?? "", "file"), layer.bytes);
  prepared.add(key);
}

async function unpack(world: World, image: TestImage): Promise<void> {
  if ((await world.snapshots.stat(image.snapshot).catch(unless("ERR_NOT_FOUND"))) !== undefined) return;
  if (!world.prepared.has(`${image.name} key`)) await prepare(world, image);
  await world.snapshots.commit(image.snapshot, `${image.name} key`);
}

/** The committed snapshot holds its file, seen through a view. */
async function mustBeUnpacked({ snapshots }: World, { layer, snapshot }: TestImage): Promise<void> {
  assert.equal((await snapshots.stat(snapshot)).kind, "committed");
  const [mount] = await snapshots.view("look", snapshot);
  try {
    const path = join(mount?.source ?? "", "file");
    assert.ok(existsSync(path), `${snapshot} has lost its file`);
    assert.ok(readFileSync(path).equals(layer.bytes), `${snapshot} has other bytes`);
  } finally {
    await snapshots.remove("look");
  }
}

async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if (codeOf(error) !== code) throw error;
    return undefined;
  };
}
