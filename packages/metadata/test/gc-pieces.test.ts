// Large stores, whose records are removed in several transactions.
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { d, openWorld } from "./gc-world.ts";
import type { World } from "./gc-world.ts";

const ref = "containerd.io/gc.ref.content";
const images = 1100;
/** Of each image the manifest, and two layers. */
const count = 3 * images;

interface Garbage {
  readonly gone?: boolean;
  /** More references, from the number of a blob to that of another. */
  readonly refer?: (number: number) => readonly number[];
}

/** Blobs of many images, of which the names are gone, and one image that stays. */
function fill(world: World, { gone = true, refer = () => [] }: Garbage = {}): void {
  world.sql.exec("BEGIN");
  for (let image = 0; image <= images; image += 1) {
    // The layers have the lower numbers, and come first in the table.
    const [manifest, ...layers] = [10_000 + image, 2 * image, 2 * image + 1];
    for (const number of [manifest, ...layers]) {
      const targets = [...(number === manifest ? layers : []), ...refer(number)];
      const labels = targets.map((target, index) => [`${ref}.${index}`, d(target)]);
      world.blob(number, { labels: Object.fromEntries(labels) });
    }
    if (!gone || image === images) world.image(`image ${image}`, manifest);
  }
  // Parents have the lower number, and one a higher one, as after a rebase.
  for (let number = 0; number < 300; number += 1) {
    world.snapshot(`s${number}`, number === 0 ? {} : { parent: `s${number - 1}` });
  }
  world.run("UPDATE snapshots SET parent = (SELECT seq FROM snapshots WHERE name = 's299') WHERE name = 's0'");
  world.run("UPDATE snapshots SET parent = NULL WHERE name = 's150'");
  world.overlay.add("default/1/s0", "default/300/s299");
  world.overlay.add("default/151/s150");
  world.sql.exec("COMMIT");
}

const kept = ["content 11100", "content 2200", "content 2201", "image image 1100"];

function blobs(world: World): number[] {
  const rows = world.sql.prepare("SELECT digest FROM blobs").all();
  return rows.map(({ digest }) => Number.parseInt(String(digest).slice(7), 16));
}

/** Runs until the first records have gone, and the last have not. */
async function betweenPieces(world: World): Promise<void> {
  const all = blobs(world).length;
  while (blobs(world).length === all) await setImmediate();
  expect(blobs(world).length).toBeGreaterThan(kept.length);
}

/** Looks on, once a turn, until the work is done. */
async function watch<T>(work: Promise<T>, look: () => void): Promise<T> {
  const state = { isDone: false };
  void work.finally(() => (state.isDone = true)).catch(() => {});
  for (; !state.isDone; await setImmediate()) look();
  return work;
}

/** No blob is there without what it refers to, and no snapshot without what it stands on. */
function expectWhole(world: World): void {
  const there = new Set(blobs(world));
  const manifests = [...there].filter((number) => number >= 10_000);
  const needed = manifests.flatMap((manifest) => [2 * (manifest - 10_000), 2 * (manifest - 10_000) + 1]);
  expect(needed.filter((number) => !there.has(number))).toEqual([]);
  expect(world.sql.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
}

test("the records of much go piece by piece, those that refer to others first, and others get their turn", async () => {
  await using world = await openWorld();
  fill(world);
  const seen = new Set<number>();
  const { removed, failed } = await watch(world.metadata.collect(), () => {
    seen.add(blobs(world).length);
    expectWhole(world);
  });
  expect(seen.size).toBeGreaterThan(2);
  expect(removed).toHaveLength(count + 300);
  expect(failed).toEqual([]);
  expect(world.records()).toEqual(kept);
  expect(world.stored()).toEqual(["11100", "2200", "2201"]);
  expect(world.overlay.entries.size).toBe(0);
});

// G-44
test.each(["this process", "another process"])(
  "what %s takes between two pieces stays with all that it needs, and the rest is collected and told",
  async (who) => {
    await using world = await openWorld();
    fill(world);
    const would = await world.metadata.collect({ dryRun: true });
    const collecting = world.metadata.collect();
    await betweenPieces(world);
    const found = blobs(world).filter((number) => number >= 10_000 && number !== 11_100);
    const manifest = found.at(-1) ?? 0;
    expect(manifest).toBeGreaterThan(10_000);
    if (who === "this process") {
      const { images: names } = world.metadata.namespace("default");
      const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: d(manifest), size: 100 };
      // The one more piece that may be made before it can take it.
      await names.put({ name: "again", target });
    } else world.image("again", manifest);
    const wasThere = blobs(world).includes(manifest);
    expect(wasThere || who === "this process").toBe(true);
    const { removed, failed, bytes } = await collecting;
    expect(failed).toEqual([]);
    const image = manifest - 10_000;
    const stays = wasThere ? [manifest, 2 * image, 2 * image + 1].map((number) => `content ${number}`) : [];
    expect(world.records()).toEqual([...kept, ...stays, "image again"].toSorted());
    expect(world.stored()).toEqual(
      [...kept, ...stays].flatMap((text) => text.match(/(?<=content ).*/) ?? []).toSorted(),
    );
    const told = removed.map(({ type, id }) => `${type} ${id}`);
    expect(new Set(told).size).toBe(told.length);
    expect(removed).toHaveLength(would.removed.length - stays.length);
    expect(bytes).toBe(would.bytes - stays.length * 100);
    // Also what went before the change is told by its name, and not as something that nobody knew.
    expect(removed.filter(({ reason, namespace }) => namespace === "" || reason === "it has no record")).toEqual([]);
  },
);

test("a lease that is taken between two pieces keeps what it holds", async () => {
  await using world = await openWorld();
  fill(world);
  world.lease("late", []);
  const collecting = world.metadata.collect();
  await betweenPieces(world);
  const [layer = 0] = blobs(world);
  world.run("INSERT INTO lease_resources VALUES ('default', 'late', 'content', '', ?)", d(layer));
  await collecting;
  expect(world.records()).toEqual([...kept, `content ${layer}`, "lease late"].toSorted());
  expect(world.stored()).toContain(String(layer));
});

test("a store that is changed between all pieces is collected all the same", async () => {
  await using world = await openWorld();
  fill(world);
  let changes = 0;
  const { removed, failed } = await watch(world.metadata.collect(), () => {
    world.image(`new ${changes}`, 11_100);
    changes += 1;
  });
  expect([removed.length, failed]).toEqual([count + 300, []]);
  expect(world.records().filter((each) => !each.startsWith("image"))).toEqual(kept.slice(0, 3));
  expect(changes).toBeGreaterThan(5);
});

// K16
test("a run that is killed between two pieces leaves what the next one ends", async () => {
  await using world = await openWorld();
  fill(world);
  const killed = await world.open();
  const collecting = killed.collect();
  const ended = collecting.catch((error: unknown) => error);
  await betweenPieces(world);
  await killed.close();
  expect(await ended).toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  expectWhole(world);
  expect(world.stored()).toHaveLength(count + 3);
  const { failed } = await world.metadata.collect();
  expect(failed).toEqual([]);
  expect(world.records()).toEqual(kept);
  expect(world.stored()).toEqual(["11100", "2200", "2201"]);
});

test("what refers to each other in circles goes in one step, after what refers to it", async () => {
  await using world = await openWorld();
  // A layer refers to its manifest, and all first layers to the next.
  fill(world, { refer: (number) => (number >= 10_000 ? [] : [10_000 + Math.floor(number / 2), (number + 2) % 2200]) });
  world.run("DELETE FROM images");
  const seen = new Set<number>();
  const { failed } = await watch(world.metadata.collect(), () => void seen.add(blobs(world).length));
  seen.add(blobs(world).length);
  expect(failed).toEqual([]);
  expect(world.records()).toEqual([]);
  expect([...seen].toSorted((a, b) => a - b)).toEqual([0, count + 3]);
});
