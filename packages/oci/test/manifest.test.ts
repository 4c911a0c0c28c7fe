import { digestOf, parseDigest } from "@varve/digest";
import { emptyConfig, mediaTypes, parseDocument, parseIndex, parseManifest } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { bytes, descriptor, index, manifest } from "./documents.ts";
import type { Fields } from "./documents.ts";

const digest = digestOf("the document");

function without(document: Fields, name: string): Fields {
  return Object.fromEntries(Object.entries(document).filter(([key]) => key !== name));
}

describe("a manifest", () => {
  test.each([
    ["OCI", manifest()],
    ["OCI without its media type", without(manifest(), "mediaType")],
    [
      "Docker schema 2",
      manifest({
        mediaType: mediaTypes.dockerManifest,
        config: descriptor(mediaTypes.dockerConfig),
        layers: [
          descriptor(mediaTypes.dockerLayerGzip),
          descriptor(mediaTypes.dockerForeignLayer, { urls: ["https://a/b"] }),
        ],
      }),
    ],
    ["without layers", manifest({ layers: [] })],
    // M11
    [
      "an artifact",
      manifest({ artifactType: "application/x.thing", config: emptyConfig, layers: [descriptor("text/csv")] }),
    ],
    ["with a subject", manifest({ subject: descriptor(mediaTypes.ociManifest), annotations: { a: "b" } })],
    // M12
    ["with unknown fields", manifest({ vendor: { deep: [1, null] }, layers: [descriptor("x", { vendor: [true] })] })],
  ])("%s is read as it stands, from bytes and from text", (_name, document) => {
    expect(parseManifest(bytes(document))).toEqual(document);
    expect(parseManifest(JSON.stringify(document, undefined, 3))).toEqual(document);
  });

  test("null is read as nothing, the way Go writes it", () => {
    const read = parseManifest(
      bytes(manifest({ layers: null, annotations: null, subject: null, manifests: null, artifactType: null })),
    );
    expect(read).toStrictEqual({ ...manifest(), layers: [] });
  });

  test("is named in messages by its digest, with the path of what is wrong", () => {
    const bad = manifest({ layers: [descriptor("a"), descriptor("b"), descriptor("c", { size: -1 })] });
    expect(() => parseManifest(bytes(bad), { digest })).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_DATA", message: `manifest ${digest}: layers[2].size: not a size` }),
    );
  });

  test.each<[string, Fields, string]>([
    ["config", without(manifest(), "config"), "config: missing"],
    ["config", manifest({ config: [] }), "config: not an object"],
    ["config", manifest({ config: "x" }), "config: not an object"],
    ["layers", manifest({ layers: {} }), "layers: not a list"],
    ["layers", manifest({ layers: [null] }), "layers[0]: not an object"],
    ["layers", manifest({ layers: ["x"] }), "layers[0]: not an object"],
    ["schemaVersion", manifest({ schemaVersion: 3 }), "schemaVersion: not 2"],
    ["schemaVersion", manifest({ schemaVersion: "2" }), "schemaVersion: not 2"],
    ["mediaType", manifest({ mediaType: 2 }), "mediaType: not a text"],
    ["annotations", manifest({ annotations: ["a"] }), "annotations: not an object"],
    ["annotations", manifest({ annotations: { a: 1 } }), 'annotations["a"]: not a text'],
    ["subject", manifest({ subject: {} }), "subject.mediaType: missing"],
    ["a descriptor", manifest({ layers: [without(descriptor("a"), "mediaType")] }), "layers[0].mediaType: missing"],
    ["a descriptor", manifest({ layers: [descriptor("")] }), "layers[0].mediaType: missing"],
    ["a descriptor", manifest({ layers: [descriptor("a", { digest: null })] }), "layers[0].digest: missing"],
    ["a descriptor", manifest({ layers: [descriptor("a", { digest: "sha256:x" })] }), "layers[0].digest: digest"],
    ["a descriptor", manifest({ layers: [without(descriptor("a"), "size")] }), "layers[0].size: missing"],
    ["a descriptor", manifest({ layers: [descriptor("a", { size: 1.5 })] }), "layers[0].size: not a size"],
    ["a descriptor", manifest({ layers: [descriptor("a", { size: "10" })] }), "layers[0].size: not a size"],
    ["a descriptor", manifest({ layers: [descriptor("a", { size: 2 ** 53 })] }), "layers[0].size: not a size"],
    ["a descriptor", manifest({ layers: [descriptor("a", { urls: "x" })] }), "layers[0].urls: not a list of texts"],
    ["a descriptor", manifest({ layers: [descriptor("a", { urls: [1] })] }), "layers[0].urls: not a list of texts"],
    ["a descriptor", manifest({ layers: [descriptor("a", { data: 1 })] }), "layers[0].data: not a text"],
    ["a platform", manifest({ config: descriptor("a", { platform: "linux" }) }), "config.platform: not an object"],
    ["a platform", manifest({ config: descriptor("a", { platform: { os: 1 } }) }), "config.platform.os: not a text"],
  ])("with a bad %s is refused: %j", (_name, document, why) => {
    expect(() => parseManifest(bytes(document))).toThrow(
      expect.objectContaining({
        code: "ERR_INVALID_DATA",
        message: expect.stringMatching(`^manifest: ${literal(why)}`),
      }),
    );
  });

  // N3
  test("a digest of an unknown algorithm is not supported, rather than wrong", () => {
    const document = manifest({ config: descriptor("a", { digest: `blake3:${"a".repeat(64)}` }) });
    expect(() => parseManifest(bytes(document))).toThrow(
      expect.objectContaining({ code: "ERR_NOT_IMPLEMENTED", message: expect.stringContaining("config.digest: ") }),
    );
  });
});

describe("an index", () => {
  test.each([
    ["OCI", index()],
    ["empty", index({ manifests: [] })],
    ["a Docker manifest list", index({ mediaType: mediaTypes.dockerIndex })],
    ["without its media type", without(index(), "mediaType")],
    [
      "of everything an entry may have",
      index({
        manifests: [
          descriptor(mediaTypes.ociManifest, {
            platform: {
              architecture: "amd64",
              os: "windows",
              "os.version": "10.0.1",
              "os.features": ["a"],
              features: ["x"],
            },
            annotations: { a: "b" },
            artifactType: "x/y",
            data: "e30=",
          }),
        ],
      }),
    ],
  ])("%s is read as it stands", (_name, document) => {
    expect(parseIndex(bytes(document))).toEqual(document);
  });

  test("an entry's empty platform is read as containerd reads it", () => {
    const document = index({ manifests: [descriptor(mediaTypes.ociManifest, { platform: {} })] });
    expect(parseIndex(bytes(document)).manifests[0]?.platform).toEqual({ architecture: "", os: "" });
  });

  test("without a list of manifests is refused", () => {
    expect(() => parseIndex("{}")).toThrow(/^index: manifests: missing$/);
  });
});

// M5, U-IMG.5
describe("a document that could be two things", () => {
  test.each<[string, () => unknown]>([
    ["layers and manifests", () => parseManifest(bytes(manifest({ manifests: [] })))],
    ["manifests and layers", () => parseIndex(bytes(index({ layers: [] })))],
    ["manifests and a config", () => parseIndex(bytes(index({ config: descriptor("a") })))],
    ["both, read by its form", () => parseDocument(bytes({ ...manifest(), ...index(), mediaType: undefined }))],
    ["a manifest's form and an index's type", () => parseManifest(bytes(manifest({ mediaType: mediaTypes.ociIndex })))],
    ["an index's form and a manifest's type", () => parseIndex(bytes(index({ mediaType: mediaTypes.ociManifest })))],
    ["announced as the other", () => parseManifest(bytes(manifest()), { mediaType: mediaTypes.ociIndex })],
    ["announced as Docker's", () => parseManifest(bytes(manifest()), { mediaType: mediaTypes.dockerManifest })],
    ["announced as an index", () => parseDocument(bytes(manifest()), { mediaType: mediaTypes.ociIndex })],
    ["another type altogether", () => parseManifest(bytes(manifest({ mediaType: "text/html" })))],
    // Go matches names in any case, and merges what stands twice.
    ["Layers and layers", () => parseManifest(bytes(manifest({ Layers: [] })))],
    ["only MANIFESTS", () => parseIndex(bytes({ schemaVersion: 2, MANIFESTS: [] }))],
    ["a long s", () => parseManifest(bytes(manifest({ "layer\u017f": [] })))],
    ["a size and a Size", () => parseManifest(bytes(manifest({ layers: [descriptor("a", { Size: 1 })] })))],
    ["a name twice", () => parseManifest(`{"layers":[],${JSON.stringify(manifest()).slice(1)}`)],
    ["a name twice, once escaped", () => parseManifest(`{"l\\u0061yers":[],${JSON.stringify(manifest()).slice(1)}`)],
    [
      "a name twice, deep down",
      () => parseManifest(JSON.stringify(manifest({ x: [{ y: 0 }] })).replace('"y":0', '"y":0,"y":1')),
    ],
  ])("is refused: %s", (_name, read) => {
    expect(read).toThrow(expect.objectContaining({ code: "ERR_INVALID_DATA" }));
  });

  test("a name may stand again in another object, and in a text", () => {
    const document = manifest({
      annotations: { layers: "x", text: '{"a":1,"a":2}', quotes: '","x":"1","x":"1","x":"', "a\\": "\\", b: '\\"' },
      list: [{ a: 1 }, { a: 1 }, "a", "a"],
    });
    expect(parseManifest(bytes(document))).toEqual(document);
  });
});

// M7
describe("docker schema 1", () => {
  const signed = { schemaVersion: 1, name: "x", fsLayers: [], history: [], signatures: [] };
  test.each<[string, () => unknown]>([
    ["by its form", () => parseManifest(bytes(signed))],
    ["as an index", () => parseIndex(bytes(signed))],
    ["announced as text", () => parseDocument(bytes(signed), { mediaType: "text/plain" })],
    ["with another version", () => parseDocument(bytes({ ...signed, schemaVersion: 2 }))],
    ["by its announced type", () => parseDocument("not even JSON", { mediaType: mediaTypes.dockerSchema1Signed })],
    ["by its own type", () => parseDocument(bytes({ mediaType: mediaTypes.dockerSchema1 }))],
  ])("is refused with what to do: %s", (_name, read) => {
    expect(read).toThrow(
      expect.objectContaining({
        code: "ERR_NOT_IMPLEMENTED",
        message: expect.stringMatching(/docker schema 1 manifests are not supported, push the image again/),
      }),
    );
  });
});

describe("bytes that are no document", () => {
  test.each<[string, Uint8Array | string, string]>([
    ["nothing", "", "not JSON"],
    ["half a document", '{"schemaVersion":2,"layers":[', "not JSON"],
    ["an open text", '{"a', "not JSON"],
    ["an open escape", '{"a\\', "not JSON"],
    ["HTML", "<html>", "not JSON"],
    ["null", "null", "not an object"],
    ["a list", "[]", "not an object"],
    ["a text", '"x"', "not an object"],
    ["bytes that are not UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), "not UTF-8"],
    ["a byte order mark", Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d), "not JSON"],
    ["something after the end", "{} {}", "not JSON"],
    ["deep nesting", "[".repeat(100_000) + "]".repeat(100_000), "more than 128 levels of nesting"],
    ["very many lists", `[${"[],".repeat(250_000)}[]]`, "more than 200000 lists and objects"],
    [
      "very many names",
      `{${Array.from({ length: 10_001 }, (_, number) => `"k${number}":1`).join(",")}}`,
      "more than 10000 names in one object",
    ],
    ["deep nesting of objects", '{"a":'.repeat(5000), "more than 128 levels of nesting"],
  ])("%s", (_name, source, why) => {
    expect(() => parseManifest(source)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_DATA", message: expect.stringContaining(why) }),
    );
  });

  // M6
  test("are not even looked at beyond the size limit, 8 MiB unless told otherwise", () => {
    const limit = 8 * 1024 * 1024;
    expect(() => parseManifest(new Uint8Array(limit + 1))).toThrow(
      expect.objectContaining({
        code: "ERR_RESOURCE_EXHAUSTED",
        message: `manifest: ${limit + 1} bytes, the limit is ${limit}`,
      }),
    );
    const document = bytes(manifest());
    expect(parseManifest(document, { maxSize: document.byteLength }).layers).toHaveLength(2);
    expect(() => parseManifest(document, { maxSize: document.byteLength - 1 })).toThrow(/the limit is/);
    // Bytes count, not characters.
    expect(() => parseManifest('"ä"', { maxSize: 3 })).toThrow(/4 bytes, the limit is 3/);
  });

  test("cannot reach any prototype", () => {
    const text = JSON.stringify(manifest({ annotations: { x: "y" } }))
      .replace('"x":"y"', '"__proto__":"evil","constructor":"c"')
      .replace("{", '{"__proto__":{"manifests":[],"polluted":true},');
    const read = parseManifest(text);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect("polluted" in read).toBe(false);
    expect(Object.getPrototypeOf(read.annotations)).toBe(Object.prototype);
    expect({}).not.toHaveProperty("polluted");
  });

  test("inherited names are not fields, even on a polluted prototype", () => {
    // oxlint-disable-next-line eslint/no-extend-native -- what other code may have done is the case
    Object.defineProperty(Object.prototype, "manifests", { value: [], configurable: true });
    try {
      expect(parseManifest(bytes(manifest())).layers).toHaveLength(2);
      expect(() => parseIndex("{}")).toThrow(/manifests: missing/);
    } finally {
      Reflect.deleteProperty(Object.prototype, "manifests");
    }
    expect(parseManifest(bytes(manifest({ toString: "x" })))).toHaveProperty("toString", "x");
  });
});

describe("parseDocument", () => {
  test("goes by the announced type", () => {
    expect(
      parseDocument(bytes(without(manifest(), "mediaType")), { mediaType: mediaTypes.dockerManifest }),
    ).toMatchObject({
      kind: "manifest",
      mediaType: mediaTypes.dockerManifest,
    });
    expect(parseDocument(bytes(index()), { mediaType: mediaTypes.ociIndex })).toMatchObject({
      kind: "index",
      index: { manifests: [{ size: 10 }] },
    });
    const rootfs = { type: "layers", diff_ids: [] };
    expect(parseDocument(bytes({ rootfs }), { mediaType: mediaTypes.dockerConfig })).toMatchObject({
      kind: "config",
      config: { rootfs },
    });
  });

  test.each([undefined, "application/json", "text/plain", "application/octet-stream"])(
    "goes by the document's own type, or its form, when announced as %s",
    (mediaType) => {
      expect(parseDocument(bytes(index({ mediaType: mediaTypes.dockerIndex })), { mediaType })).toMatchObject({
        kind: "index",
        mediaType: mediaTypes.dockerIndex,
      });
      expect(parseDocument(bytes(without(index(), "mediaType")), { mediaType })).toMatchObject({
        mediaType: mediaTypes.ociIndex,
      });
      expect(parseDocument(bytes(without(manifest(), "mediaType")), { mediaType })).toMatchObject({
        mediaType: mediaTypes.ociManifest,
      });
      expect(() => parseDocument("{}", { mediaType })).toThrow(/neither a manifest nor an index/);
    },
  );

  test("says which type it cannot read", () => {
    expect(() => parseDocument("{}", { mediaType: "application/vnd.oci.artifact.manifest.v1+json", digest })).toThrow(
      expect.objectContaining({
        code: "ERR_NOT_IMPLEMENTED",
        message: `document ${digest}: media type "application/vnd.oci.artifact.manifest.v1+json" is not supported`,
      }),
    );
    expect(() => parseDocument(bytes({ mediaType: "text/html" }))).toThrow(/"text\/html" is not supported/);
  });
});

test("the empty config is the two bytes that the specification names", () => {
  expect(emptyConfig.digest).toBe(
    parseDigest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
  );
  expect(emptyConfig.digest).toBe(digestOf("{}"));
});

function literal(text: string): string {
  return text.replaceAll(/[.[\]"]/g, String.raw`\$&`);
}
