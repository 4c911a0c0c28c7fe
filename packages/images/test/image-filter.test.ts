import { digestOf } from "@varve/digest";
import { imageFilter } from "@varve/images";
import type { ImageRecord } from "@varve/images";
import { describe, expect, it, test } from "vitest";

const time = new Date(0);
const index = "application/vnd.oci.image.index.v1+json";
const manifest = "application/vnd.oci.image.manifest.v1+json";

function image(name: string, mediaType: string, more: Partial<ImageRecord> = {}): ImageRecord {
  const target = { mediaType, digest: digestOf(name), size: 10 };
  return { name, target, labels: {}, createdAt: time, updatedAt: time, ...more };
}

const images: readonly ImageRecord[] = [
  image("docker.io/library/alpine:3.20", index, { labels: { env: "prod", "example.com/team": "a" } }),
  image("docker.io/library/busybox:latest", manifest, { labels: { env: "dev" } }),
  image("local", manifest, {
    target: { mediaType: manifest, digest: digestOf("x"), size: 1, annotations: { "org.example.by": "me" } },
  }),
];
const [alpine, busybox, local] = images.map(({ name }) => name);

function passing(...filters: readonly string[]): (string | undefined)[] {
  return images.filter(imageFilter(filters)).map(({ name }) => name);
}

// C-MD.8, U-MD.9
describe("images are filtered by name, target, labels and annotations:", () => {
  it.each<[string, readonly (string | undefined)[]]>([
    ["name==local", [local]],
    ["name==docker.io/library/alpine:3.20", [alpine]],
    ["name~=/library\\/alpine/", [alpine]],
    ["name~=busybox", [busybox]],
    [`target.digest==${digestOf("x")}`, [local]],
    [`target.mediatype==${manifest}`, [busybox, local]],
    ["target.mediatype~=index", [alpine]],
    ["target.mediaType", []],
    ["target", []],
    ["labels.env", [alpine, busybox]],
    ["labels.env!=dev", [alpine, local]],
    ['labels."example.com/team"==a', [alpine]],
    ["annotations.org.example.by==me", [local]],
    ['annotations."org.example.by"', [local]],
    ["annotations.other", []],
    ["name~=^docker,labels.env==dev", [busybox]],
    ["createdAt", []],
  ])("%s", (filter, expected) => {
    expect(passing(filter)).toEqual(expected);
  });
});

test("several filters are or, none lets every image through", () => {
  expect(passing("name==local", "labels.env==prod")).toEqual([alpine, local]);
  expect(passing()).toHaveLength(3);
});

test("a filter that cannot be read is refused", () => {
  const refusal: unknown = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
  expect(() => imageFilter(["labels.example.com/team==a"])).toThrow(refusal);
});
