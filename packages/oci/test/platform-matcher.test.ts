import { allPlatforms, onlyPlatform, orderedPlatforms, parsePlatform, strictPlatform } from "@varve/oci";
import type { PlatformMatcher } from "@varve/oci";
import { describe, expect, test } from "vitest";

function sorted(matcher: PlatformMatcher, texts: readonly string[]): string[] {
  return texts
    .filter((text) => matcher.matches(parsePlatform(text)))
    .toSorted((a, b) => matcher.compare(parsePlatform(a), parsePlatform(b)));
}

// M9; the orders are those of containerd's platforms.Only.
describe("onlyPlatform takes what runs, the closest first", () => {
  test.each([
    ["linux/amd64", ["linux/386", "linux/amd64", "linux/amd64/v2"], ["linux/amd64", "linux/386"]],
    [
      "linux/amd64/v3",
      ["linux/386", "linux/amd64", "linux/amd64/v4", "linux/amd64/v3", "linux/amd64/v2"],
      ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"],
    ],
    ["linux/386", ["linux/amd64", "linux/386"], ["linux/386"]],
    [
      "linux/arm/v7",
      ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8", "linux/arm", "linux/arm64", "linux/armhf"],
      ["linux/arm", "linux/armhf", "linux/arm/v6", "linux/arm/v5"],
    ],
    ["linux/arm/v6", ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"], ["linux/arm/v6", "linux/arm/v5"]],
    [
      "linux/arm64",
      ["linux/arm/v5", "linux/arm/v8", "linux/arm64/v9", "linux/arm64/v8.1", "linux/arm64/v8", "linux/arm/v7"],
      ["linux/arm64/v8", "linux/arm/v8", "linux/arm/v7", "linux/arm/v5"],
    ],
    [
      "linux/arm64/v8.2",
      ["linux/arm64", "linux/arm64/v8.1", "linux/arm64/v8.3", "linux/arm64/v8.2", "linux/arm/v6"],
      ["linux/arm64/v8.2", "linux/arm64/v8.1", "linux/arm64", "linux/arm/v6"],
    ],
    [
      "linux/arm64/v9.1",
      ["linux/arm64", "linux/arm64/v9", "linux/arm64/v8.6", "linux/arm64/v8.7", "linux/arm64/v9.1", "linux/arm/v8"],
      ["linux/arm64/v9.1", "linux/arm64/v9", "linux/arm64/v8.6", "linux/arm64", "linux/arm/v8"],
    ],
    ["linux/riscv64", ["linux/riscv64", "linux/riscv64/rva23", "linux/amd64"], ["linux/riscv64"]],
    ["linux/amd64", ["windows/amd64", "darwin/amd64", "linux/arm64"], []],
    // A variant nobody has heard of matches itself.
    ["linux/amd64/v99999999999", ["linux/amd64", "linux/amd64/v99999999999"], ["linux/amd64/v99999999999"]],
  ])("%s", (wanted, there, order) => {
    expect(sorted(onlyPlatform(parsePlatform(wanted)), there)).toEqual(order);
  });

  test("in any spelling", () => {
    const matcher = onlyPlatform({ os: "Linux", architecture: "x86_64" });
    expect(matcher.matches({ os: "LINUX", architecture: "AMD64", variant: "v1" })).toBe(true);
    expect(matcher.description).toBe("linux/amd64");
  });

  test.each([
    ["10.0.17763", "10.0.17763.1", true],
    ["10.0.17763", "10.0.17764", false],
    ["10.0.17763", "10.0.14393", false],
    ["10.0.17763", "", true],
    ["", "10.0.17763", true],
    ["10.0.17763", "nonsense", false],
    ["nonsense", "10.0.17763", true],
    // From Server 2022 on, a host runs every build since then.
    ["10.0.20348", "10.0.20348.5", true],
    ["10.0.26100", "10.0.20348", true],
    ["10.0.26100", "10.0.25398", true],
    ["10.0.26100", "10.0.17763", false],
    ["10.0.20348", "10.0.26100", false],
    ["11.0.26100", "10.0.26100", false],
  ])("Windows %s takes an image for %s: %s", (hostVersion, imageVersion, fits) => {
    const matcher = onlyPlatform({ os: "windows", architecture: "amd64", "os.version": hostVersion });
    expect(matcher.matches({ os: "windows", architecture: "amd64", "os.version": imageVersion })).toBe(fits);
  });

  test("of two Windows builds that run the newer comes first, by number", () => {
    const matcher = onlyPlatform(parsePlatform("windows(10.0.26100.100)/amd64"));
    const there = ["windows(10.0.20348.9)/amd64", "windows(10.0.20348.10)/amd64", "windows(10.0.25398)/amd64"];
    expect(sorted(matcher, there)).toEqual(there.toReversed());
  });

  test("a version of another system does not count", () => {
    expect(onlyPlatform(parsePlatform("linux(5)/amd64")).matches(parsePlatform("linux(6)/amd64"))).toBe(true);
  });

  test("what an image needs of the system must be there", () => {
    const matcher = onlyPlatform(parsePlatform("windows(+a+b)/amd64"));
    expect(matcher.matches(parsePlatform("windows/amd64"))).toBe(true);
    expect(matcher.matches(parsePlatform("windows(+b)/amd64"))).toBe(true);
    expect(matcher.matches(parsePlatform("windows(+a+b+c)/amd64"))).toBe(false);
    expect(onlyPlatform(parsePlatform("windows/amd64")).matches(parsePlatform("windows(+a)/amd64"))).toBe(false);
  });
});

test("strictPlatform takes nothing older or smaller", () => {
  const matcher = strictPlatform(parsePlatform("linux/arm/v7"));
  expect(sorted(matcher, ["linux/arm/v6", "linux/arm", "linux/arm/v7", "linux/arm/v8"])).toEqual([
    "linux/arm",
    "linux/arm/v7",
  ]);
  expect(strictPlatform(parsePlatform("linux/amd64")).matches(parsePlatform("linux/386"))).toBe(false);
});

test("orderedPlatforms prefers what stands first", () => {
  const matcher = orderedPlatforms(["linux/arm64", "linux/amd64"].map(parsePlatform));
  expect(sorted(matcher, ["linux/386", "linux/amd64", "linux/arm64"])).toEqual(["linux/arm64", "linux/amd64"]);
  expect(matcher.description).toBe("linux/arm64, linux/amd64");
  expect(orderedPlatforms([]).matches(parsePlatform("linux/amd64"))).toBe(false);
});

test("what does not match comes last, and a sort stays consistent", () => {
  const matcher = onlyPlatform(parsePlatform("linux/amd64"));
  const [good, bad, worse] = ["linux/amd64", "linux/s390x", "windows/amd64"].map(parsePlatform);
  if (good === undefined || bad === undefined || worse === undefined) throw new Error("unreachable");
  expect(Math.sign(matcher.compare(good, bad))).toBe(-1);
  expect(Math.sign(matcher.compare(bad, good))).toBe(1);
  expect(matcher.compare(bad, worse)).toBe(0);
});

test("allPlatforms takes everything as it comes", () => {
  const there = ["linux/s390x", "windows/amd64", "linux/386"];
  expect(sorted(allPlatforms, there)).toEqual(there);
});
