import { createHash } from "node:crypto";
import { cp, mkdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bash, temporaryDirectory } from "@varve-tools/corpus";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { importMobyLayers } from "@varve/layers";
import type { Layer, LayerStore } from "@varve/layers";
import { mediaTypes } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { backends, bytesOf, LayerStoreScene } from "../src/layer-store/layer-store-scene.ts";
import type { Backend } from "../src/layer-store/layer-store-scene.ts";
import { chainOn, MobyStore } from "../src/layer-store/moby-store.ts";
import { dir, file, layerOf, whiteout } from "../src/layers/layer-of.ts";
import { severalLayers } from "../src/other-tools/several-layers.ts";
import { thorough } from "../src/rounds.ts";

const missing = await whyNoFaults(["tar"]);
const base = layerOf([dir("d"), file("d/a", "base a"), file("d/b", "b".repeat(10_000))]);
const middle = layerOf([dir("d"), file("d/a", "middle"), whiteout("d/b")]);
const top = layerOf([file("new", "top")]);
const aside = layerOf([file("aside", "aside")]);

interface Here extends AsyncDisposable {
  readonly scene: LayerStoreScene;
  readonly store: LayerStore;
  readonly moby: MobyStore;
}

async function opened(backend: Backend = "overlay", options = {}): Promise<Here> {
  const scene = await LayerStoreScene.open(backend);
  const moby = await MobyStore.create(join(scene.path, "moby"));
  return { scene, store: await scene.store(options), moby, [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

/** A layer, two above it, and one beside those. */
async function family({ moby }: Here): Promise<Record<"base" | "middle" | "top" | "aside", Digest>> {
  const lowest = await moby.add(base);
  const second = await moby.add(middle, { parent: lowest });
  const third = await moby.add(top, { parent: second, isInit: true });
  return { base: lowest, middle: second, top: third, aside: await moby.add(aside, { parent: lowest }) };
}

const names = (layers: readonly { readonly chainId: Digest }[]): Digest[] => layers.map(({ chainId }) => chainId);

async function diffIdOf(layer: Layer): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of layer.tarStream()) hash.update(chunk);
  return `sha256:${hash.digest("hex")}`;
}

/** Harm to a file of a layer's metadata. */
const inLayer = (name: string, text?: string) => async (moby: MobyStore, layer: Digest) => {
  const path = join(moby.directoryOf(layer), name);
  await (text === undefined ? rm(path) : writeFile(path, text));
};

/** Harm by putting something else in the place of a file or directory. */
const replaced =
  (
    pathOf: (moby: MobyStore, layer: Digest) => string | Promise<string>,
    by: (path: string, aside: string) => unknown,
  ) =>
  async (moby: MobyStore, layer: Digest): Promise<void> => {
    const path = await pathOf(moby, layer);
    const away = join(moby.driver.root, "../../away");
    await rename(path, away);
    await by(path, away);
  };
const link = (path: string, away: string): Promise<void> => symlink(away, path);
const pieceOf = (name: string) => (moby: MobyStore, layer: Digest) => join(moby.directoryOf(layer), name);
const fifo = (path: string): Promise<unknown> => bash('mkfifo "$1"', [path]);
const long = gzipSync(Buffer.alloc(40 * 1024 * 1024, "a"));

const { missing: lacking, corpus } = environment;

describe.skipIf(lacking !== undefined)(
  `layers by Go (privileged${lacking === undefined ? "" : `: ${lacking}`})`,
  () => {
    // Issue 8, "done when" 4; S1.90 to S1.95
    test.each(["overlay2", "vfs"] as const)("all layers of an image come over from %s, bit for bit", async (driver) => {
      await using here = await opened();
      const { scene, store } = here;
      await using directory = await temporaryDirectory();
      const image = thorough ? `${corpus.app}:latest` : await severalLayers(directory.path);
      const moby = await MobyStore.byGo(join(scene.path, "go"), image, driver);
      const before = await moby.everything();
      const { broken, layers } = await importMobyLayers(store, moby);
      expect(broken).toEqual([]);
      expect(layers.length).toBeGreaterThan(2);
      for (const [index, layer] of layers.entries()) {
        expect(layer).toMatchObject({ parent: layers[index - 1]?.chainId, depth: index + 1 });
        expect(layer.chainId).toBe(chainOn(layer.parent, layer.diffId));
        expect(await diffIdOf(layer)).toBe(layer.diffId);
      }
      expect(await moby.everything()).toBe(before);
    });
  },
);

describe.skipIf(missing !== undefined).each(backends)(
  `a moby's store, for %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // S1.3, S1.70; with what is passed over: S1.71, S1.72, C-LS.10: TestGetOrphan
    test("is imported, lowest layers first, and left as it was", async () => {
      await using here = await opened(backend);
      const { moby, scene, store } = here;
      const descriptor = { mediaType: mediaTypes.dockerLayerGzip, digest: digestOf("blob"), size: 4 };
      const lowest = await moby.add(base, { descriptor });
      const second = await moby.add(middle, { parent: lowest });
      for (const name of ["foo", `${"a".repeat(64)}-123-removing`, "A".repeat(64), "a".repeat(63)]) {
        await mkdir(join(moby.layerdb, "sha256", name));
      }
      const before = await moby.everything();
      const told: Digest[] = [];
      const { broken, layers } = await importMobyLayers(store, {
        layerdb: moby.layerdb,
        driver: moby.driver,
        onLayer: ({ chainId }) => told.push(chainId),
      });
      expect(broken).toEqual([]);
      expect(names(layers)).toEqual([lowest, second]);
      expect(told).toEqual([lowest, second]);
      const [one, two] = layers;
      expect(one).toMatchObject({ diffId: digestOf(base), descriptor, depth: 1, diffSize: 10_006 });
      expect(two).toMatchObject({ diffId: digestOf(middle), parent: lowest, depth: 2, descriptor: undefined });
      expect((await bytesOf(one!.tarStream())).equals(base)).toBe(true);
      expect((await bytesOf(two!.tarStream())).equals(middle)).toBe(true);
      expect(await moby.everything()).toBe(before);
      // Once more: no file is needed for what is there.
      await rm(moby.driver.root, { recursive: true });
      expect(names((await importMobyLayers(store, moby)).layers)).toEqual([lowest, second]);
      expect((await scene.files()).records.length).toBe(2);
      await store.close();
      const again = await scene.store();
      expect((await bytesOf((await again.get(second)).tarStream())).equals(middle)).toBe(true);
    });

    // S1.5, S1.71, S1.94, S1.92: each piece, and what it is when it is wrong
    test.each([
      ["no size", inLayer("size"), "ERR_DATA_LOSS", "its size is missing"],
      ["no diff", inLayer("diff"), "ERR_DATA_LOSS", "its diff is missing"],
      ["no cache-id", inLayer("cache-id"), "ERR_DATA_LOSS", "its cache-id is missing"],
      ["no records", inLayer("tar-split.json.gz"), "ERR_DATA_LOSS", "its tar-split.json.gz is missing"],
      ["an empty cache-id", inLayer("cache-id", ""), "ERR_INVALID_DATA", 'its cache-id is ""'],
      ["a size that is none", inLayer("size", "-1"), "ERR_INVALID_DATA", 'its size is "-1"'],
      ["another diff", inLayer("diff", digestOf("x")), "ERR_INVALID_DATA", "its diff and parent are those of sha256:"],
      ["no parent", inLayer("parent"), "ERR_INVALID_DATA", "its diff and parent are those of sha256:"],
      [
        "a descriptor without digest",
        inLayer("descriptor.json", '{"mediaType":"a/b"}'),
        "ERR_INVALID_DATA",
        "digest: missing",
      ],
      ["records that are none", inLayer("tar-split.json.gz", "nothing"), "ERR_INVALID_DATA", "1: no JSON"],
      [
        "the records of another layer",
        (moby: MobyStore, layer: Digest) =>
          inLayer("tar-split.json.gz")(moby, layer).then(() =>
            cp(
              join(moby.directoryOf(digestOf(base)), "tar-split.json.gz"),
              join(moby.directoryOf(layer), "tar-split.json.gz"),
            ),
          ),
        "ERR_DATA_LOSS",
        'entry "d/a"',
      ],
      [
        "a changed file",
        async (moby: MobyStore, layer: Digest) => writeFile(join(await moby.filesOf(layer), "d/a"), "Middle"),
        "ERR_DATA_LOSS",
        'entry "d/a"',
      ],
      [
        "a lost file",
        async (moby: MobyStore, layer: Digest) => rm(join(await moby.filesOf(layer), "d/a")),
        "ERR_DATA_LOSS",
        "is gone",
      ],
      [
        "no files",
        async (moby: MobyStore, layer: Digest) => rm(await moby.filesOf(layer), { recursive: true }),
        "ERR_DATA_LOSS",
        "/diff is missing",
      ],
    ])(
      "a layer with %s is left out with what stands on it, and the rest is imported",
      async (_what, harm, code, why) => {
        await using here = await opened(backend);
        const { moby, scene, store } = here;
        const layers = await family(here);
        await harm(moby, layers.middle);
        const result = await importMobyLayers(store, moby);
        expect(names(result.layers).toSorted()).toEqual([layers.base, layers.aside].toSorted());
        expect(result.broken).toEqual([
          { chainId: layers.middle, error: expect.objectContaining({ code }) },
          { chainId: layers.top, error: expect.objectContaining({ code: "ERR_FAILED_PRECONDITION" }) },
        ]);
        const [first, second] = result.broken;
        expect(first?.error.message).toContain(`layer ${layers.middle}`);
        expect(first?.error.message).toContain(why);
        expect(second?.error.message).toBe(`layer ${layers.top}: its parent ${layers.middle} is broken`);
        expect(second?.error.cause).toBe(first?.error);
        expect((await scene.snapshots()).others).toBe(0);
        expect((await scene.files()).scratch).toEqual([]);
      },
    );

    test("a layer without its parent, and one too deep, are told", async () => {
      await using here = await opened(backend, { maxDepth: 2 });
      const { moby, store } = here;
      const layers = await family(here);
      const orphan = await moby.add(aside, { parent: digestOf("nobody") });
      const above = await moby.add(top, { parent: orphan });
      const { broken } = await importMobyLayers(store, moby);
      const errors = new Map(broken.map(({ chainId, error }) => [chainId, error]));
      expect([...errors.keys()].toSorted()).toEqual([layers.top, orphan, above].toSorted());
      expect(errors.get(layers.top)?.message).toContain("maxDepth 2");
      expect(errors.get(orphan)?.message).toBe(`layer ${orphan}: its parent ${digestOf("nobody")} is missing`);
      expect(errors.get(above)).toMatchObject({ code: "ERR_FAILED_PRECONDITION", cause: errors.get(orphan) });
    });

    // S1.70, C-LS.10: TestIsValidID
    test("ids of 64 lower-case hex digits, and the same with -init, are ids, and nothing else", async () => {
      await using here = await opened(backend);
      const { moby, store } = here;
      const hex = "5a".repeat(32);
      const ids = {
        [hex]: true,
        [`${"0f".repeat(32)}-init`]: true,
        [hex.slice(1)]: false,
        [`${hex}5`]: false,
        [`${hex.slice(1)}A`]: false,
        [`${hex.slice(1)}g`]: false,
        [`${hex}-other`]: false,
        "-init": false,
      };
      const valid: Digest[] = [];
      const invalid: Digest[] = [];
      for (const [cacheId, isValid] of Object.entries(ids)) {
        (isValid ? valid : invalid).push(await moby.add(layerOf([file(cacheId)]), { cacheId }));
      }
      const { broken, layers } = await importMobyLayers(store, moby);
      expect(names(layers).toSorted()).toEqual(valid.toSorted());
      expect(names(broken).toSorted()).toEqual(invalid.toSorted());
      for (const { error } of broken) expect(error).toMatchObject({ code: "ERR_INVALID_DATA" });
    });

    // S1.74, C-LS.10: TestEmptyLayer
    test("the empty layer is there without having been written", async () => {
      await using here = await opened(backend);
      const { moby, store } = here;
      const zeros = Buffer.alloc(1024);
      const empty = digestOf(zeros);
      const above = await moby.add(base, { parent: empty });
      const { broken, layers } = await importMobyLayers(store, moby);
      expect(broken).toEqual([]);
      expect(names(layers)).toEqual([empty, above]);
      expect(layers[0]).toMatchObject({ diffSize: 0, depth: 1 });
      expect((await bytesOf(layers[0]!.tarStream())).equals(zeros)).toBe(true);
    });

    // S1.70: ids are ids, and nothing leads out
    test.each([
      ["a cache-id that leads out", inLayer("cache-id", "../../../etc"), "its cache-id is"],
      ["a cache-id in capitals", inLayer("cache-id", "A".repeat(64)), "its cache-id is"],
      ["a link for its directory", replaced(pieceOf(""), link), "is a link, or not a directory"],
      [
        "a link for its files",
        replaced((moby, layer) => moby.filesOf(layer), link),
        "/diff is a link, or not a directory",
      ],
      ["a link for its size", replaced(pieceOf("size"), link), "its size is not a regular file"],
      [
        "a link for its records",
        replaced(pieceOf("tar-split.json.gz"), link),
        "its tar-split.json.gz is not a regular file",
      ],
      ["a fifo for its diff", replaced(pieceOf("diff"), fifo), "its diff is not a regular file"],
      [
        "a fifo for its records",
        replaced(pieceOf("tar-split.json.gz"), fifo),
        "tar-split.json.gz is not a regular file",
      ],
      [
        "a diff without end",
        replaced(pieceOf("diff"), (path, away) => cp(away, path).then(() => truncate(path, 2 ** 40))),
        "its diff is longer than 1024 bytes",
      ],
      [
        "records in one long line",
        replaced(pieceOf("tar-split.json.gz"), (path) => writeFile(path, long)),
        "recordBytes",
      ],
    ])("a layer with %s is refused", async (_what, harm, why) => {
      await using here = await opened(backend);
      const layers = await family(here);
      await harm(here.moby, layers.middle);
      const { broken } = await importMobyLayers(here.store, here.moby);
      expect(names(broken)).toEqual([layers.middle, layers.top]);
      expect(broken[0]?.error).toMatchObject({
        code: expect.stringMatching(/^ERR_(INVALID_DATA|RESOURCE_EXHAUSTED)$/),
      });
      expect(broken[0]?.error.message).toContain(why);
    });

    test("what is no layerdb, a closed store and an abort end the import", async () => {
      await using here = await opened(backend);
      const { moby, scene, store } = here;
      const layers = await family(here);
      await expect(
        importMobyLayers(store, { driver: moby.driver, layerdb: join(scene.path, "no") }),
      ).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
        message: `moby layerdb ${join(scene.path, "no")}: not found`,
      });
      const reason = new Error("enough");
      const controller = new AbortController();
      const aborted = importMobyLayers(store, {
        layerdb: moby.layerdb,
        driver: moby.driver,
        signal: controller.signal,
        onLayer: () => controller.abort(reason),
      });
      await expect(aborted).rejects.toBe(reason);
      expect(names(await Array.fromAsync(store.list()))).toEqual([layers.base]);
      expect((await scene.snapshots()).others).toBe(0);
      await store.close();
      await expect(importMobyLayers(store, moby)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
    });
  },
);
