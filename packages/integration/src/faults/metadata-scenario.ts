import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { labelGcRefContent, labelGcRoot } from "@varve/content";
import { testBlob } from "./bytes.ts";
import { unless } from "./codes.ts";
import { mustBeWhole, mustHave } from "./content-scenario.ts";
import { listed } from "./listed.ts";
import { mustBeUnpacked, open, prepare, targetOf, testImage, unpack, write, writeImage } from "./metadata-world.ts";
import type { World } from "./metadata-world.ts";
import { scenarioOf } from "./scenario.ts";
import type { Scenario, Step } from "./scenario.ts";

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
