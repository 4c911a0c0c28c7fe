import { digestOf } from "@varve/digest";
import {
  allPlatforms,
  isAttestationManifest,
  mediaTypes,
  onlyPlatform,
  parsePlatform,
  rankManifests,
  selectManifest,
} from "@varve/oci";
import type { Descriptor, Index } from "@varve/oci";
import { describe, expect, test } from "vitest";

let count = 0;

function entry(platform?: string, extra: Partial<Descriptor> = {}): Descriptor {
  count += 1;
  const base = { mediaType: mediaTypes.ociManifest, digest: digestOf(`entry ${count}`), size: 1 };
  return { ...base, ...(platform === undefined ? {} : { platform: parsePlatform(platform) }), ...extra };
}

function indexOf(...manifests: readonly Descriptor[]): Index {
  return { schemaVersion: 2, manifests };
}

const amd64 = onlyPlatform(parsePlatform("linux/amd64/v2"));
const attestation = entry("unknown/unknown");

// U-IMG.7, M9
describe("choosing from an index", () => {
  test("takes the best entry, wherever it stands", () => {
    const best = entry("linux/amd64/v2");
    const index = indexOf(
      entry("linux/386"),
      entry("linux/arm64"),
      entry("linux/amd64"),
      best,
      entry("linux/amd64/v3"),
    );
    expect(selectManifest(index, amd64)).toBe(best);
  });

  test("keeps the order of the index where there is no difference", () => {
    const [first, second] = [entry("linux/amd64"), entry("linux/amd64")];
    expect(rankManifests(indexOf(first, second), amd64)).toEqual([first, second]);
    expect(rankManifests(indexOf(second, first), amd64)).toEqual([second, first]);
  });

  test("takes entries without a platform last, in their order", () => {
    const [bare, other, small] = [entry(), entry(), entry("linux/386")];
    expect(rankManifests(indexOf(bare, small, other), amd64)).toEqual([small, bare, other]);
    expect(selectManifest(indexOf(bare, entry("linux/arm64")), amd64)).toBe(bare);
  });

  test("tolerates nested indexes, and leaves out attestations and what is no image", () => {
    const nested = entry(undefined, { mediaType: mediaTypes.ociIndex });
    const signed = entry("linux/amd64", { annotations: { "vnd.docker.reference.type": "attestation-manifest" } });
    const odd = entry("linux/amd64", { mediaType: "application/x.other" });
    expect(rankManifests(indexOf(attestation, signed, odd, nested), allPlatforms)).toEqual([nested]);
    expect([attestation, signed, nested].map(isAttestationManifest)).toEqual([true, true, false]);
  });

  test("leaves the index alone", () => {
    const manifests = Object.freeze([entry(), entry("linux/amd64")]);
    rankManifests({ schemaVersion: 2, manifests }, amd64);
    expect(manifests[0]?.platform).toBeUndefined();
  });

  test("says what there is when nothing matches, each once", () => {
    const index = indexOf(entry("linux/arm64"), entry("windows(10.0.1)/amd64"), entry("linux/arm64"), attestation);
    expect(() => selectManifest(index, amd64)).toThrow(
      expect.objectContaining({
        code: "ERR_NOT_FOUND",
        message: "platform linux/amd64/v2: not in the index, which has linux/arm64, windows(10.0.1)/amd64",
      }),
    );
    expect(() => selectManifest(indexOf(attestation), amd64)).toThrow(/which has no images$/);
  });

  test("does not list a thousand platforms", () => {
    const many = Array.from({ length: 1000 }, (_, number) => entry(`linux/cpu${number}`));
    expect(() => selectManifest(indexOf(...many), amd64)).toThrow(/cpu19, and 980 more$/);
  });
});
