import { chmod, chown, link, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bash } from "@varve-tools/corpus";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { importMobyLayers } from "@varve/layers";
import type { LayerStore, MobyDriver, MobySource } from "@varve/layers";
import { createLinuxMounter } from "@varve/mount-linux";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { backends, LayerStoreScene } from "../src/layer-store/layer-store-scene.ts";
import type { Backend } from "../src/layer-store/layer-store-scene.ts";
import { chainOn, MobyStore } from "../src/layer-store/moby-store.ts";
import { changesIn, within } from "../src/layer-store/rw-scene.ts";
import { dir, file, layerOf, whiteout } from "../src/layers/layer-of.ts";

const missing = await whyNoFaults(["tar"]);
const base = layerOf([
  dir("d"),
  file("d/a", "base a"),
  file("d/b", "b".repeat(10_000)),
  dir("full"),
  file("full/of", "things"),
  file("gone", "soon"),
]);
const middle = layerOf([file("d/a", "middle"), whiteout("gone")]);

interface Here extends AsyncDisposable {
  readonly scene: LayerStoreScene;
  readonly store: LayerStore;
  readonly moby: MobyStore;
}

async function opened(backend: Backend, driver: MobyDriver["name"] = "overlay2", options = {}): Promise<Here> {
  const scene = await LayerStoreScene.open(backend);
  const moby = await MobyStore.create(join(scene.path, "moby"), driver);
  return { scene, store: await scene.store(options), moby, [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

/** All that a tree shows, but for times of directories: moby keeps other ones of those that a layer only implies. */
async function treeOf(root: string): Promise<string> {
  const script = `cd "$1"; find . -mindepth 1 -printf '%p %y %m %U %G %n %s %T@ %l\\n' | sed -E 's/^(\\S+ d \\S+ \\S+ \\S+) .*/\\1/' | sort
    find . -type f -print0 | sort -z | xargs -0r sha256sum; find . | sort | xargs getfattr -d -m user -h`;
  return (await bash(script, [root])).stdout;
}

const placeOf = ({ layerdb, driver }: MobyStore): MobySource => ({ layerdb, driver });

/** Makes what a runtime needs. */
async function init(root: string): Promise<void> {
  await mkdir(join(root, "etc"));
  for (const name of ["hosts", "hostname"]) await writeFile(join(root, "etc", name), "by init");
  await writeFile(join(root, ".dockerenv"), "");
}

/** Of all kinds. */
async function work(root: string): Promise<void> {
  await writeFile(join(root, "d/a"), "by the container");
  await chown(join(root, "d/a"), 33, 34);
  await chmod(join(root, "d"), 0o1777);
  await rm(join(root, "d/b"));
  await rm(join(root, "full"), { recursive: true });
  await mkdir(join(root, "full"));
  await writeFile(join(root, "full/new"), "new");
  await writeFile(join(root, "etc/hosts"), "changed");
  await rm(join(root, ".dockerenv"));
  await link(join(root, "d/a"), join(root, "d/same"));
  await symlink("/etc/passwd", join(root, "passwd"));
  await bash('mkfifo "$1/fifo"; mknod "$1/null" c 1 3; setfattr -n user.note -v note "$1/full/new"', [root]);
}

async function move(root: string): Promise<void> {
  await rename(join(root, "full"), join(root, "moved"));
  await chown(join(root, "d/b"), 7, 8);
}

const touch =
  (name: string) =>
  async (root: string): Promise<void> =>
    writeFile(join(root, name), name);

/** Harm to a file that moby keeps of a container, or to a directory of the driver. */
const piece =
  (name: string, text?: string) =>
  async ({ layerdb }: MobyStore): Promise<void> => {
    const path = join(layerdb, "mounts/web", name);
    await (text === undefined ? rm(path) : writeFile(path, text));
  };
const idOf = (moby: MobyStore, name: string): Promise<string> =>
  readFile(join(moby.layerdb, "mounts/web", name), "utf8");
const linked = (pathOf: (moby: MobyStore) => Promise<string>) => async (moby: MobyStore) => {
  const path = await pathOf(moby);
  const away = join(moby.driver.root, "../away");
  await rename(path, away);
  await symlink(away, path);
};
const filesOf = async (moby: MobyStore, name: string): Promise<string> =>
  join(moby.driver.root, await idOf(moby, name), "diff");
const vfsOf = async (moby: MobyStore, name: string): Promise<string> =>
  join(moby.driver.root, "dir", await idOf(moby, name));
const invalid = "ERR_INVALID_DATA";
const lost = "ERR_DATA_LOSS";
const someId = "5a".repeat(32);

describe.skipIf(missing !== undefined).each(backends)(
  `containers of a moby on %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // S1.6, S1.70, S1.76
    test.each(["overlay2", "vfs"] as const)(
      "come over from %s as read-write layers that show the same, and whose changes are the same",
      async (driver) => {
        await using here = await opened(backend, driver);
        const { moby, scene, store } = here;
        const parent = await moby.add(middle, { parent: await moby.add(base) });
        await moby.addContainer("web", work, { parent, init });
        await moby.addContainer("bare", touch("bare"), { parent });
        await moby.addContainer("alone", touch("alone"), { init });
        const empty = digestOf(Buffer.alloc(1024));
        await moby.addContainer("on-nothing", touch("it"), { parent: empty });
        await writeFile(join(moby.layerdb, "mounts/stray"), "no directory");
        const before = await moby.everything();
        const told: string[] = [];
        const result = await importMobyLayers(store, {
          layerdb: moby.layerdb,
          driver: moby.driver,
          containers: true,
          onContainer: ({ name }) => told.push(name),
        });
        expect(result).toMatchObject({ broken: [], brokenContainers: [] });
        expect(told).toEqual(["alone", "bare", "on-nothing", "web"]);
        const [alone, bare, onNothing, web] = result.containers;
        expect(result.containers).toMatchObject([
          { name: "alone", parent: undefined },
          { name: "bare", parent },
          { name: "on-nothing", parent: empty },
          { name: "web", parent },
        ]);
        for (const layer of result.containers) {
          await moby.shown(layer.name, async (theirs) => {
            await within(layer, async (ours) => expect(await treeOf(ours)).toBe(await treeOf(theirs)));
          });
        }
        expect(await changesIn(alone!)).toEqual(["added alone"]);
        expect(await changesIn(bare!)).toEqual(["added bare"]);
        expect(await changesIn(onNothing!)).toEqual(["added it"]);
        expect(await changesIn(web!)).toEqual(
          expect.arrayContaining([
            "deleted .dockerenv",
            "modified d",
            "modified d/a",
            "deleted d/b",
            "added d/same",
            "modified etc/hosts",
            "added full/new",
            "deleted full/of",
            "added passwd",
          ]),
        );
        expect(await changesIn(web!)).not.toContain("added etc/hostname");
        await using committed = await web!.commit();
        expect(committed.parent).toBe(parent);
        expect(await moby.everything()).toBe(before);
        // Once more: what has a name already is told, and stays as it is.
        const again = await importMobyLayers(store, { ...placeOf(moby), containers: true });
        expect(again.containers).toEqual([]);
        expect(again.brokenContainers).toMatchObject(
          told.map((name) => ({
            name,
            error: { code: "ERR_ALREADY_EXISTS", message: `read-write layer ${name}: already exists` },
          })),
        );
        expect(await changesIn(bare!)).toEqual(["added bare"]);
        expect((await scene.files()).scratch).toEqual([]);
      },
    );

    test("come over with files of which an overlay has but an owner, and directories of which it has but where they came from", async () => {
      await using here = await opened(backend);
      const { moby, store } = here;
      const parent = await moby.add(base);
      await moby.addContainer("web", move, { parent, options: ["redirect_dir=on", "metacopy=on"] });
      const { brokenContainers, containers } = await importMobyLayers(store, { ...placeOf(moby), containers: true });
      expect(brokenContainers).toEqual([]);
      const [web] = containers;
      expect(await changesIn(web!)).toEqual(["modified d/b", "deleted full", "added moved", "added moved/of"]);
      await moby.shown("web", async (theirs) => {
        await within(web!, async (ours) => expect(await treeOf(ours)).toBe(await treeOf(theirs)));
      });
    });

    test("stay where they are unless they are asked for, and need a comparer", async () => {
      await using here = await opened(backend);
      const { moby, scene, store } = here;
      const parent = await moby.add(base);
      await moby.addContainer("web", work, { parent, init });
      expect(await importMobyLayers(store, moby)).toMatchObject({ containers: [], brokenContainers: [] });
      expect(await Array.fromAsync(store.listRWLayers())).toEqual([]);
      const other = await scene.store({ comparer: undefined });
      await expect(importMobyLayers(other, { ...placeOf(moby), containers: true })).rejects.toMatchObject({
        code: "ERR_NOT_IMPLEMENTED",
      });
      await rm(join(moby.layerdb, "mounts"), { recursive: true });
      expect(await importMobyLayers(store, { ...placeOf(moby), containers: true })).toMatchObject({
        layers: [{ chainId: parent }],
        containers: [],
        brokenContainers: [],
      });
    });

    // S1.6, S1.70: ids are ids, and nothing leads out
    test.each([
      ["no mount-id", piece("mount-id"), lost, "its mount-id is missing"],
      ["an empty mount-id", piece("mount-id", ""), invalid, 'its mount-id is ""'],
      ["a mount-id that leads out", piece("mount-id", "../../away"), invalid, "its mount-id is"],
      ["an init-id in capitals", piece("init-id", "A".repeat(64)), invalid, "its init-id is"],
      ["an init-id that is not there", piece("init-id", someId), lost, `${someId}/diff is missing`],
      ["a parent that is no digest", piece("parent", "../x"), invalid, "its parent is"],
      ["a parent that is not there", piece("parent", digestOf("x")), lost, "below it is missing"],
      [
        "a mount-id without end",
        (moby: MobyStore) => piece("mount-id", "a".repeat(2000))(moby),
        "ERR_RESOURCE_EXHAUSTED",
        "its mount-id is longer than 1024 bytes",
      ],
      [
        "a link for its mount-id",
        linked(async ({ layerdb }) => join(layerdb, "mounts/web/mount-id")),
        invalid,
        "its mount-id is not a regular file",
      ],
      [
        "a link for its files",
        linked((moby) => filesOf(moby, "mount-id")),
        invalid,
        "/diff is a link, or not a directory",
      ],
      [
        "a link for the files of its init layer",
        linked((moby) => filesOf(moby, "init-id")),
        invalid,
        "-init/diff is a link, or not a directory",
      ],
      [
        "a link for what the driver has of it",
        linked(async (moby) => join(moby.driver.root, await idOf(moby, "mount-id"))),
        invalid,
        "/diff is a link, or not a directory",
      ],
      [
        "no files",
        async (moby: MobyStore) => rm(await filesOf(moby, "mount-id"), { recursive: true }),
        lost,
        "/diff is missing",
      ],
      [
        "a file that no layer can have",
        async (moby: MobyStore) => writeFile(join(await filesOf(moby, "mount-id"), ".wh.x"), ""),
        invalid,
        ".wh.x",
      ],
    ])("one with %s is told, nothing of it is left, and the rest comes over", async (_what, harm, code, why) => {
      await using here = await opened(backend);
      const { moby, scene, store } = here;
      const parent = await moby.add(base);
      await moby.addContainer("web", touch("web"), { parent, init });
      await moby.addContainer("zoo", touch("zoo"), { parent });
      await harm(moby);
      const { brokenContainers, containers, layers } = await importMobyLayers(store, {
        ...placeOf(moby),
        containers: true,
      });
      expect(brokenContainers).toEqual([{ name: "web", error: expect.objectContaining({ code }) }]);
      expect(brokenContainers[0]?.error.message).toContain(why);
      expect(layers).toMatchObject([{ chainId: parent }]);
      expect(containers).toMatchObject([{ name: "zoo" }]);
      expect(await Array.fromAsync(store.listRWLayers())).toMatchObject([{ name: "zoo" }]);
      expect(await scene.snapshots()).toEqual({ committed: [parent], others: 1 });
      expect((await scene.files()).scratch).toEqual([]);
    });

    test.each([
      ["a link for its files", linked((moby) => vfsOf(moby, "mount-id")), invalid, "is a link, or not a"],
      ["a link for the files of its init layer", linked((moby) => vfsOf(moby, "init-id")), invalid, "-init is"],
      ["no files", async (moby: MobyStore) => rm(await vfsOf(moby, "mount-id"), { recursive: true }), lost, "missing"],
    ])("one of vfs with %s is told, and the rest comes over", async (_what, harm, code, why) => {
      await using here = await opened(backend, "vfs");
      const { moby, store } = here;
      const parent = await moby.add(base);
      await moby.addContainer("web", touch("web"), { parent, init });
      await moby.addContainer("zoo", touch("zoo"), { parent });
      await harm(moby);
      const { brokenContainers, containers } = await importMobyLayers(store, { ...placeOf(moby), containers: true });
      expect(brokenContainers).toEqual([{ name: "web", error: expect.objectContaining({ code }) }]);
      expect(brokenContainers[0]?.error.message).toContain(why);
      expect(containers).toMatchObject([{ name: "zoo" }]);
    });

    test("one on a broken layer is told with the error of that", async () => {
      await using here = await opened(backend);
      const { moby, store } = here;
      const lowest = await moby.add(base);
      const parent = await moby.add(middle, { parent: lowest });
      await moby.addContainer("web", touch("web"), { parent });
      await moby.addContainer("zoo", touch("zoo"), { parent: lowest });
      await rm(join(moby.directoryOf(parent), "diff"));
      const { broken, brokenContainers, containers } = await importMobyLayers(store, {
        ...placeOf(moby),
        containers: true,
      });
      expect(brokenContainers).toEqual([
        {
          name: "web",
          error: expect.objectContaining({
            code: "ERR_FAILED_PRECONDITION",
            message: `container web: its parent ${chainOn(lowest, digestOf(middle))} is broken`,
            cause: broken[0]?.error,
          }),
        },
      ]);
      expect(containers).toMatchObject([{ name: "zoo" }]);
    });

    test("one whose files somebody replaces while they are read is told", async () => {
      await using here = await opened(backend);
      const { moby, scene } = here;
      const parent = await moby.add(base);
      await moby.addContainer("web", touch("web"), { parent });
      const path = await filesOf(moby, "mount-id");
      const mounter = createLinuxMounter();
      await using differ = createDiffer({ mounter });
      const comparer = {
        changes: differ.changes.bind(differ),
        archiveChanges: async function* replacing(
          ...args: Parameters<typeof differ.archiveChanges>
        ): AsyncGenerator<Uint8Array, void, undefined> {
          yield* differ.archiveChanges(...args);
          await rename(path, `${path}-aside`);
          await mkdir(path);
        },
      };
      const store = await scene.store({ comparer });
      const { brokenContainers } = await importMobyLayers(store, { ...placeOf(moby), containers: true });
      expect(brokenContainers).toMatchObject([
        {
          name: "web",
          error: { code: "ERR_FAILED_PRECONDITION", message: "container web: its directories were replaced meanwhile" },
        },
      ]);
      expect(await Array.fromAsync(store.listRWLayers())).toEqual([]);
      await rm(moby.driver.root, { recursive: true });
      const gone = await importMobyLayers(store, { ...placeOf(moby), containers: true });
      expect(gone.brokenContainers).toMatchObject([{ name: "web", error: { code: "ERR_DATA_LOSS" } }]);
    });

    test("an import that ends on the way leaves whole containers, or nothing of them", async () => {
      await using here = await opened(backend);
      const { moby, scene } = here;
      const parent = await moby.add(base);
      for (const name of ["a", "b"]) await moby.addContainer(name, touch(name), { parent, init });
      const mounter = createLinuxMounter();
      await using differ = createDiffer({ mounter });
      let calls = 0;
      const broken = new Error("disk");
      const store = await scene.store({
        applier: {
          // The layer, and then an init layer and its changes each.
          applyArchive: async (...args) => {
            calls += 1;
            if (calls === 5) throw broken;
            return differ.applyArchive(...args);
          },
        },
      });
      await expect(importMobyLayers(store, { ...placeOf(moby), containers: true })).rejects.toBe(broken);
      expect(await Array.fromAsync(store.listRWLayers())).toMatchObject([{ name: "a" }]);
      expect((await scene.snapshots()).others).toBe(1);
      const controller = new AbortController();
      const reason = new Error("enough");
      const aborting = importMobyLayers(store, {
        ...placeOf(moby),
        containers: true,
        signal: controller.signal,
        onContainer: ({ name }) => {
          if (name === "a") controller.abort(reason);
        },
      });
      await expect(aborting).rejects.toBe(reason);
      expect(await Array.fromAsync(store.listRWLayers())).toMatchObject([{ name: "a" }]);
      expect((await scene.files()).scratch).toEqual([]);
      await store.close();
      await expect(importMobyLayers(store, { ...placeOf(moby), containers: true })).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
      });
    });
  },
);
