import { defaultPlatform, formatPlatform, normalizePlatform, parsePlatform } from "@varve/oci";
import type { Platform } from "@varve/oci";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

const host = defaultPlatform();

describe("parsePlatform", () => {
  test.each<[string, Platform]>([
    ["linux/amd64", { os: "linux", architecture: "amd64" }],
    ["Linux/x86_64", { os: "linux", architecture: "amd64" }],
    ["linux/x86-64", { os: "linux", architecture: "amd64" }],
    ["linux/amd64/v1", { os: "linux", architecture: "amd64" }],
    ["linux/amd64/v3", { os: "linux", architecture: "amd64", variant: "v3" }],
    ["linux/i386", { os: "linux", architecture: "386" }],
    ["linux/arm64", { os: "linux", architecture: "arm64" }],
    ["linux/arm64/v8", { os: "linux", architecture: "arm64" }],
    ["linux/aarch64/8", { os: "linux", architecture: "arm64" }],
    ["linux/arm64/v9", { os: "linux", architecture: "arm64", variant: "v9" }],
    ["linux/arm", { os: "linux", architecture: "arm", variant: "v7" }],
    ["linux/arm/6", { os: "linux", architecture: "arm", variant: "v6" }],
    ["linux/arm/V8", { os: "linux", architecture: "arm", variant: "v8" }],
    ["linux/armhf", { os: "linux", architecture: "arm", variant: "v7" }],
    ["linux/armel", { os: "linux", architecture: "arm", variant: "v6" }],
    ["linux/riscv64", { os: "linux", architecture: "riscv64" }],
    ["macos/arm64", { os: "darwin", architecture: "arm64" }],
    ["some/thing/else", { os: "some", architecture: "thing", variant: "else" }],
    ["windows(10.0.17763)/amd64", { os: "windows", architecture: "amd64", "os.version": "10.0.17763" }],
    [
      "windows(10.0.17763+win32k+a)/amd64",
      { os: "windows", architecture: "amd64", "os.version": "10.0.17763", "os.features": ["a", "win32k"] },
    ],
    ["windows(+win32k)/amd64", { os: "windows", architecture: "amd64", "os.features": ["win32k"] }],
    ["linux(a%2Fb)/amd64", { os: "linux", architecture: "amd64", "os.version": "a/b" }],
    // One word: the other half is the host's.
    ["linux", { ...host, os: "linux" }],
    ["windows(10.0.1)", { ...host, os: "windows", "os.version": "10.0.1" }],
    ["arm64", { os: host.os, architecture: "arm64" }],
    ["x86_64", { os: host.os, architecture: "amd64" }],
    ["armhf", { os: host.os, architecture: "arm", variant: "v7" }],
    ["s390x", { os: host.os, architecture: "s390x" }],
  ])("%s", (text, platform) => {
    expect(parsePlatform(text)).toStrictEqual(platform);
  });

  test.each([
    "",
    "/",
    "linux/",
    "/amd64",
    "linux/amd64/v1/x",
    "linux//v1",
    "*",
    "linux/*",
    "vax",
    "linux amd64",
    "linux/amd 64",
    "linux(10/amd64",
    "linux()x/amd64",
    "linux(%zz)/amd64",
    "lin(ux)(a)/b",
  ])("refuses %j", (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
  });
});

test.each(["x", "/", "linux/", "a+"])("a very long text of %j is refused in few words", (piece) => {
  expect(() => parsePlatform(piece.repeat(50_000))).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: expect.stringMatching(/^.{1,250}$/) }),
  );
});

describe("normalizePlatform", () => {
  test("leaves no empty fields, sorts features, and takes the host's system for none", () => {
    const platform = { os: "", architecture: "AMD64", variant: "", "os.version": "", "os.features": ["b", "a", "b"] };
    expect(normalizePlatform(platform)).toStrictEqual({
      os: host.os,
      architecture: "amd64",
      "os.features": ["a", "b"],
    });
    expect(normalizePlatform({ os: "linux", architecture: "386", "os.features": [] })).toStrictEqual({
      os: "linux",
      architecture: "386",
    });
  });

  test("does nothing the second time, and leaves its argument alone", () => {
    const word = fc.constantFrom(
      "",
      "linux",
      "MacOS",
      "x86_64",
      "arm",
      "arm64",
      "aarch64",
      "armhf",
      "v1",
      "v8",
      "7",
      "8",
      "x",
    );
    fc.assert(
      fc.property(word, word, word, (os, architecture, variant) => {
        const platform = Object.freeze({ os, architecture, variant });
        const once = normalizePlatform(platform);
        expect(normalizePlatform(once)).toStrictEqual(once);
      }),
    );
  });
});

describe("formatPlatform", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/arm/v7", "linux/arm/v7"],
    ["windows(10.0.17763+b+a)/amd64", "windows(10.0.17763+a+b)/amd64"],
  ])("%s prints as %s", (text, printed) => {
    expect(formatPlatform(parsePlatform(text))).toBe(printed);
  });

  test("says unknown where the system is", () => {
    expect(formatPlatform({ os: "", architecture: "" })).toBe("unknown");
    expect(formatPlatform({ os: "unknown", architecture: "unknown" })).toBe("unknown/unknown");
  });

  test("what is printed is read again", () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9_-]{0,6}$/);
    const option = fc.string({
      unit: fc.constantFrom("a", "1", ".", "%", "+", "(", ")", "/"),
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        word,
        word,
        word,
        fc.array(option, { maxLength: 3 }),
        option,
        (os, architecture, variant, features, version) => {
          const platform = normalizePlatform({
            os,
            architecture,
            variant,
            "os.features": features,
            "os.version": version,
          });
          expect(parsePlatform(formatPlatform(platform))).toStrictEqual(platform);
        },
      ),
    );
  });
});

test("the platform of this process is one that Go knows, without a variant that adds nothing", () => {
  expect(formatPlatform(host)).toMatch(
    /^(linux|darwin|windows|freebsd|openbsd|aix|solaris|android)\/[a-z0-9]+(\/v[5-7])?$/,
  );
  expect(normalizePlatform(host)).toStrictEqual(host);
});
