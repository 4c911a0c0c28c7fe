import { CodedError } from "@varve/errors";
import { chainIds } from "@varve/digest";
import { labelDiffId, labelOwner, labelParentChainId, labelTarget } from "@varve/snapshots";
import { applyLayer, applyLayers } from "@varve/unpack";
import type { Descriptor } from "@varve/oci";
import type { ApplyLayersOptions, Layer } from "@varve/unpack";
import { beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import { FakeApplier, FakeContent, FakeSnapshotter, textLayer } from "./fakes.ts";

let content: FakeContent;
let snapshotter: FakeSnapshotter;
let applier: FakeApplier;
let options: ApplyLayersOptions;

const bottom = textLayer("+a=1");
const middle = textLayer("+b=2\n-a");
const layers = [bottom, middle, textLayer("+c=3")];
const chain = chainIds(layers.map((layer) => layer.diff.digest));

beforeEach(() => {
  content = new FakeContent();
  for (const layer of layers) content.put(layer.bytes);
  snapshotter = new FakeSnapshotter();
  applier = new FakeApplier(content, snapshotter);
  options = { snapshotter, applier };
});

function calls(method: string): string[] {
  return snapshotter.calls.filter((call) => call.startsWith(method));
}

describe("applyLayers", () => {
  // S0.1, S0.2, S0.4, S0.7, S-ID.2: chains are of diff IDs, and what is read are the blobs
  test("applies the layers in order, each on the chain ID of those below", async () => {
    expect(await applyLayers(layers, options)).toBe(chain[2]);
    expect(applier.applied).toEqual(layers.map((layer) => layer.blob.digest));
    expect(calls("prepare")).toEqual([
      `prepare ${chain[0]} on `,
      `prepare ${chain[1]} on ${chain[0]}`,
      `prepare ${chain[2]} on ${chain[1]}`,
    ]);
    expect(snapshotter.tree(chain[2] ?? "")).toEqual({ b: "2", c: "3" });
    expect(snapshotter.active()).toEqual([]);
  });

  // S0.1
  test("a layer is what it is uncompressed, and the bytes to read", () => {
    expectTypeOf<Layer>().toEqualTypeOf<{ readonly diff: Descriptor; readonly blob: Descriptor }>();
    expect(bottom.blob.digest).not.toBe(bottom.diff.digest);
  });

  // S0.24
  test("snapshots get further labels, and the applier what the caller gave", async () => {
    const controller = new AbortController();
    let given: unknown;
    applier.hook = (_, { signal }) => {
      given = signal;
      expect([...snapshotter.entries.values()].at(-1)?.labels).toMatchObject({ team: "a" });
    };
    const snapshotLabels = { team: "a", [labelDiffId]: "forged", [labelOwner]: "forged" };
    await applyLayers([bottom], { ...options, snapshotLabels, signal: controller.signal });
    expect(given).toBe(controller.signal);
    expect(snapshotter.entries.get(chain[0] ?? "")?.labels).toMatchObject({
      team: "a",
      [labelDiffId]: bottom.diff.digest,
    });
  });

  // U-UNP.21
  test("reads what is stored and asks nobody for more", async () => {
    content.blobs.delete(middle.blob.digest);
    await expect(applyLayers(layers, options)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    expect(content.opened).toEqual([bottom.blob.digest]);
    expect(snapshotter.committed()).toEqual([chain[0]]);
  });

  // S0.4
  test("answers the empty string for no layers", async () => {
    expect(await applyLayers([], options)).toBe("");
    expect(snapshotter.calls).toEqual([]);
  });

  // S0.3, S0.20, U-UNP.21: whether an image is unpacked is one question
  test("applies nothing the second time, and asks for the top snapshot only", async () => {
    await applyLayers(layers, options);
    snapshotter.calls.length = 0;
    expect(await applyLayers(layers, options)).toBe(chain[2]);
    expect(applier.applied).toHaveLength(3);
    expect(snapshotter.calls).toEqual([`stat ${chain[2]}`]);
  });

  // S0.3, S0.21
  test("goes on where an earlier run has stopped", async () => {
    await applyLayers([bottom], options);
    expect(await applyLayers(layers, options)).toBe(chain[2]);
    expect(applier.applied).toEqual(layers.map((layer) => layer.blob.digest));
  });

  // S0.5
  test("stops at the first layer that fails and keeps those below", async () => {
    applier.hook = (layer) => {
      if (layer.digest === middle.blob.digest) throw new Error("boom");
    };
    await expect(applyLayers(layers, options)).rejects.toThrow(`failed to extract layer ${middle.diff.digest}`);
    expect(snapshotter.committed()).toEqual([chain[0]]);
    expect(snapshotter.active()).toEqual([]);
  });

  test("tells what it does by events", async () => {
    await applyLayers([bottom], options);
    const seen: string[] = [];
    await applyLayers([bottom, middle], { ...options, onProgress: (event) => seen.push(event.type) });
    expect(seen).toEqual(["exists", "applying", "applied", "committed"]);
  });

  test("an abort is thrown as it is and leaves no active snapshot", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    applier.hook = () => controller.abort(reason);
    await expect(applyLayers(layers, { ...options, signal: controller.signal })).rejects.toBe(reason);
    expect(snapshotter.active()).toEqual([]);
    expect(snapshotter.committed()).toEqual([]);
  });
});

describe("applyLayer", () => {
  // S0.6
  test("says whether it unpacked", async () => {
    expect(await applyLayer(bottom, [], options)).toBe(true);
    expect(await applyLayer(bottom, [], options)).toBe(false);
    expect(await applyLayer(middle, [bottom.diff.digest], options)).toBe(true);
    expect(snapshotter.committed()).toEqual([chain[0], chain[1]]);
  });

  // S0.8
  test("prepares nothing when it cannot look for the snapshot", async () => {
    const cause = new CodedError("ERR_UNAVAILABLE", "snapshots: busy");
    snapshotter.hooks.stat = () => {
      throw cause;
    };
    await expect(applyLayer(bottom, [], options)).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: `layer ${bottom.blob.digest}: failed to stat snapshot ${chain[0]}`,
      cause,
    });
    expect(calls("prepare")).toEqual([]);
  });

  // S0.9
  test("extracts under a key of its own", async () => {
    const keys: string[] = [];
    snapshotter.hooks.prepare = (key) => keys.push(key);
    snapshotter.hooks.commit = () => {
      throw new Error("no");
    };
    for (let run = 0; run < 2; run += 1) await applyLayer(bottom, [], options).catch(() => {});
    expect(keys[0]).toMatch(new RegExp(`^extract-[0-9]+-[A-Za-z0-9_-]{4} ${chain[0]}$`));
    expect(keys[0]).not.toBe(keys[1]);
  });

  // S0.10
  test("removes nothing when nothing was prepared", async () => {
    snapshotter.hooks.prepare = () => {
      throw new CodedError("ERR_NOT_FOUND", "snapshot x: not found");
    };
    await expect(applyLayer(middle, [bottom.diff.digest], options)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: `layer ${middle.blob.digest}: failed to prepare extraction layer ${chain[1]}`,
    });
    expect(calls("remove")).toEqual([]);
  });

  // S0.11, S0.12
  test("removes the snapshot once after an error, and tells the error even if that fails", async () => {
    const warnings: string[] = [];
    applier.hook = () => {
      throw new Error("boom");
    };
    snapshotter.hooks.remove = () => {
      throw new Error("still mounted");
    };
    const logger = { warn: (message: string) => warnings.push(message) };
    await expect(applyLayer(bottom, [], { ...options, logger })).rejects.toMatchObject({
      message: `layer ${bottom.blob.digest}: failed to extract layer ${bottom.diff.digest}`,
      cause: { message: "boom" },
    });
    expect(calls("remove")).toHaveLength(1);
    expect(warnings).toHaveLength(1);
  });

  // S0.11
  test("the code of an error of the system stays", async () => {
    applier.hook = () => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    await expect(applyLayer(bottom, [], options)).rejects.toMatchObject({ code: "ENOSPC" });
  });

  // S0.13, B13
  test("refuses a layer whose diff ID is another", async () => {
    const wrong = { blob: bottom.blob, diff: { ...bottom.diff, digest: middle.diff.digest } };
    await expect(applyLayer(wrong, [], options)).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: expect.stringContaining(`wrong diff id calculated on extraction: ${bottom.diff.digest}`),
    });
    expect(snapshotter.entries.size).toBe(0);
  });

  // S0.14, S0.23
  test("a commit that somebody else has made first counts as found", async () => {
    snapshotter.hooks.commit = (name) => {
      snapshotter.entries.set(name, { kind: "committed", parent: undefined, labels: {}, files: new Map() });
    };
    expect(await applyLayer(bottom, [], options)).toBe(false);
    expect(snapshotter.active()).toEqual([]);
    expect(calls("remove")).toHaveLength(1);
  });

  // S0.14
  test("says so when what it extracted in vain cannot be removed", async () => {
    snapshotter.hooks.commit = (name) => {
      snapshotter.entries.set(name, { kind: "committed", parent: undefined, labels: {}, files: new Map() });
    };
    snapshotter.hooks.remove = () => {
      throw new CodedError("ERR_UNAVAILABLE", "snapshot: busy");
    };
    await expect(applyLayer(bottom, [], options)).rejects.toThrow(/failed to cleanup aborted apply extract-/);
    expect(calls("remove")).toHaveLength(1);
  });

  // S0.15
  test("names the chain ID when the commit fails", async () => {
    await applyLayer(bottom, [], options);
    snapshotter.hooks.commit = () => {
      throw new CodedError("ERR_FAILED_PRECONDITION", "snapshot: no");
    };
    await expect(applyLayer(middle, [bottom.diff.digest], options)).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: `layer ${middle.blob.digest}: failed to commit snapshot ${chain[1]}`,
    });
    expect(snapshotter.active()).toEqual([]);
  });

  // S0.16
  test("eight at once leave one committed snapshot and nothing active", async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => applyLayer(bottom, [], options)));
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(snapshotter.committed()).toEqual([chain[0]]);
    expect(snapshotter.active()).toEqual([]);
  });

  // S0.22, U-UNP.9
  test("tries another key when one is taken, three times at most", async () => {
    let taken = 2;
    snapshotter.hooks.prepare = () => {
      taken -= 1;
      if (taken >= 0) throw new CodedError("ERR_ALREADY_EXISTS", "snapshot: already exists");
    };
    expect(await applyLayer(bottom, [], options)).toBe(true);
    taken = 100;
    snapshotter.calls.length = 0;
    await expect(applyLayer(middle, [bottom.diff.digest], options)).rejects.toMatchObject({
      code: "ERR_ALREADY_EXISTS",
    });
    expect(calls("prepare")).toHaveLength(3);
  });

  // U-UNP.9
  test("a key that is taken because the layer is there already is no error", async () => {
    snapshotter.hooks.prepare = () => {
      snapshotter.entries.set(chain[0] ?? "", { kind: "committed", parent: undefined, labels: {}, files: new Map() });
      throw new CodedError("ERR_ALREADY_EXISTS", "snapshot: already exists");
    };
    expect(await applyLayer(bottom, [], options)).toBe(false);
    expect(applier.applied).toEqual([]);
  });

  // U-UNP.8
  test("labels the snapshot, and lets annotations add but not replace labels", async () => {
    const annotations = {
      "containerd.io/snapshot/remote": "yes",
      [labelDiffId]: "forged",
      [labelOwner]: "forged",
      "containerd.io/gc.root": "forged",
    };
    let active: Record<string, string> = {};
    applier.hook = () => {
      active = [...snapshotter.entries.values()].find((entry) => entry.kind === "active")?.labels ?? {};
    };
    await applyLayer(bottom, [], options);
    expect(Object.keys(active).toSorted()).toEqual([labelTarget, labelDiffId, labelOwner].toSorted());
    await applyLayer({ ...middle, blob: { ...middle.blob, annotations } }, [bottom.diff.digest], options);
    expect(active).toMatchObject({
      "containerd.io/snapshot/remote": "yes",
      [labelTarget]: chain[1],
      [labelDiffId]: middle.diff.digest,
      [labelParentChainId]: chain[0],
    });
    expect(active[labelOwner]).not.toBe("forged");
    expect(active["containerd.io/gc.root"]).toBeUndefined();
    expect(snapshotter.entries.get(chain[1] ?? "")?.labels[labelOwner]).toBeUndefined();
  });
});
