import { digestOf } from "@varve/digest";
import { configPlatform, mediaTypes, parseImageConfig } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { bytes, config } from "./documents.ts";
import type { Fields } from "./documents.ts";

const full = config({
  variant: "v8",
  "os.version": "10.0.1",
  "os.features": ["win32k"],
  created: "2026-01-01T00:00:00.123456789Z",
  author: "somebody",
  config: {
    User: "1000:1000",
    ExposedPorts: { "80/tcp": {} },
    Env: ["PATH=/bin", "A=b=c"],
    Entrypoint: ["/entry"],
    Cmd: ["run"],
    Volumes: { "/data": {} },
    WorkingDir: "/",
    Labels: { a: "b" },
    StopSignal: "SIGTERM",
    ArgsEscaped: true,
    Healthcheck: { Test: ["CMD", "x"], Interval: 1e9 },
  },
  history: [{ created: "2026-01-01T00:00:00Z", created_by: "sh", author: "a", comment: "c", empty_layer: true }],
  docker_version: "20.10",
});

describe("an image config", () => {
  test.each([
    ["with everything", full],
    ["with the least", config()],
  ])("%s is read as it stands", (_name, document) => {
    expect(parseImageConfig(bytes(document))).toEqual(document);
    expect(parseImageConfig(JSON.stringify(document), { mediaType: mediaTypes.ociConfig })).toEqual(document);
    expect(parseImageConfig(bytes(document), { mediaType: mediaTypes.dockerConfig })).toEqual(document);
  });

  test("says which platform it is for", () => {
    expect(configPlatform(parseImageConfig(bytes(full)))).toStrictEqual({
      architecture: "amd64",
      os: "linux",
      variant: "v8",
      "os.version": "10.0.1",
      "os.features": ["win32k"],
    });
    expect(configPlatform(parseImageConfig(bytes(config())))).toStrictEqual({ architecture: "amd64", os: "linux" });
  });

  test("null is read as nothing, the way Docker writes it", () => {
    const read = parseImageConfig(
      bytes(
        config({
          config: { Cmd: null, Env: null, Labels: null, Volumes: null, OnBuild: null },
          history: null,
          created: null,
        }),
      ),
    );
    expect(read).toStrictEqual({ ...config(), config: { OnBuild: null } });
  });

  test("an image without layers has no diff IDs", () => {
    expect(parseImageConfig(bytes(config({ rootfs: { type: "layers" } }))).rootfs).toEqual({
      type: "layers",
      diff_ids: [],
    });
    expect(parseImageConfig(bytes(config({ rootfs: { type: "layers", diff_ids: null } }))).rootfs.diff_ids).toEqual([]);
  });

  test("without a platform it is read as empty, for the caller to judge", () => {
    const read = parseImageConfig(bytes({ rootfs: { type: "layers", diff_ids: [digestOf("a")] } }));
    expect(read).toMatchObject({ architecture: "", os: "" });
  });

  test.each<[Fields, string]>([
    [{ architecture: "amd64", os: "linux" }, "rootfs: missing"],
    [config({ rootfs: [] }), "rootfs: not an object"],
    [config({ rootfs: { diff_ids: "x" } }), "rootfs.diff_ids: not a list of texts"],
    [config({ rootfs: { diff_ids: ["sha256:abc"] } }), "rootfs.diff_ids[0]: digest"],
    [config({ rootfs: { type: 1 } }), "rootfs.type: not a text"],
    [config({ os: 1 }), "os: not a text"],
    [config({ OS: "windows" }), "OS: another spelling of os"],
    [config({ created: 1 }), "created: not a text"],
    [config({ config: [] }), "config: not an object"],
    [config({ config: { Env: "A=b" } }), "config.Env: not a list of texts"],
    [config({ config: { User: 0 } }), "config.User: not a text"],
    [config({ config: { Labels: { a: {} } } }), 'config.Labels["a"]: not a text'],
    [config({ config: { Volumes: [] } }), "config.Volumes: not an object"],
    [config({ history: [{ empty_layer: "yes" }] }), "history[0].empty_layer: not true or false"],
  ])("is refused: %j", (document, why) => {
    expect(() => parseImageConfig(bytes(document))).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_DATA", message: expect.stringContaining(`image config: ${why}`) }),
    );
  });

  // M11
  test.each([mediaTypes.ociEmpty, "application/vnd.cncf.helm.config.v1+json", ""])(
    "of the type %j is not read as an image",
    (mediaType) => {
      expect(() => parseImageConfig(bytes(config()), { mediaType, digest: digestOf("x") })).toThrow(
        expect.objectContaining({
          code: "ERR_NOT_IMPLEMENTED",
          message: `image config ${digestOf("x")}: ${JSON.stringify(mediaType)}: not the type of an image config`,
        }),
      );
    },
  );
});
