import { expect, test } from "vitest";
import { parseIdMappings, readOnlyMounts, splitMountOptions, withIdMappings, withoutVolatile } from "@varve/mount";
import type { Mount } from "@varve/mount";

// U-OVL.11
test("mappings are read in the order written", () => {
  expect(parseIdMappings("0:100000:65536")).toEqual([{ container: 0, host: 100_000, size: 65_536 }]);
  expect(parseIdMappings("1:100000:65535,0:1000:1")).toEqual([
    { container: 1, host: 100_000, size: 65_535 },
    { container: 0, host: 1000, size: 1 },
  ]);
  expect(parseIdMappings("0:0:4294967295")).toEqual([{ container: 0, host: 0, size: 4_294_967_295 }]);
});

// U-OVL.11
test.each([
  ["", "must be container:host:size"],
  ["0:1", "must be container:host:size"],
  ["0:1:2:3", "must be container:host:size"],
  ["0:1:2,", "must be container:host:size"],
  ["0:1:2,ro", "must be container:host:size"],
  [" 0:1:2", "must be container:host:size"],
  ["0:1:-2", "must be container:host:size"],
  ["0:1:0x10", "must be container:host:size"],
  ["0:1:99999999999", "must be container:host:size"],
  ["0:1:2\n", "must be container:host:size"],
  ["0:1:0", "holds no ids"],
  ["0:1:4294967295", "goes over 32 bits"],
  ["4294967295:0:1", "goes over 32 bits"],
  ["0:0:4294967296", "goes over 32 bits"],
  ["5:0:2,0:10:6", "container id 5 is mapped twice"],
  ["0:100:10,10:109:1", "host id 109 is mapped twice"],
  [Array.from({ length: 341 }, (_, id) => `${id}:${id}:1`).join(","), "more than 340 runs"],
])("%j is no mapping: %s", (text, why) => {
  expect(() => parseIdMappings(text)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining(why) }),
  );
});

// U-OVL.11
test("mappings become the last options of every mount, one element each", () => {
  const mounts: readonly Mount[] = [
    { type: "overlay", source: "overlay", options: ["lowerdir=/a"] },
    { type: "bind", source: "/b", options: [], target: "b" },
  ];
  expect(withIdMappings(mounts, { uid: "0:1:2,3:4:5", gid: "0:7:1" })).toEqual([
    { ...mounts[0], options: ["lowerdir=/a", "uidmap=0:1:2,3:4:5", "gidmap=0:7:1"] },
    { ...mounts[1], options: ["uidmap=0:1:2,3:4:5", "gidmap=0:7:1"] },
  ]);
  expect(withIdMappings(mounts, {})).toEqual(mounts);
  expect(() => withIdMappings(mounts, { gid: "0:1:2,suid" })).toThrow("must be container:host:size");
});

test("the comma between two runs of a mapping does not end the option, that after it does", () => {
  expect(splitMountOptions(["ro,uidmap=0:1:2,3:4:5,gidmap=0:1:2,nosuid", "uidmap=0:1:2,3:4:5"])).toEqual([
    "ro",
    "uidmap=0:1:2,3:4:5",
    "gidmap=0:1:2",
    "nosuid",
    "uidmap=0:1:2,3:4:5",
  ]);
  // Left as written, for whoever mounts to refuse.
  expect(splitMountOptions(["uidmap=0:1:2,3:4,ro", "0:1:2"])).toEqual(["uidmap=0:1:2,3:4", "ro", "0:1:2"]);
});

test("mappings stay through the forms for reading and for mounting again", () => {
  const mount = { type: "overlay", source: "overlay", options: ["lowerdir=/a,upperdir=/u,workdir=/w,volatile"] };
  const mapped = withIdMappings([mount], { uid: "0:1:2,3:4:5", gid: "0:1:9" });
  expect(readOnlyMounts(mapped)[0]?.options).toEqual(["uidmap=0:1:2,3:4:5", "gidmap=0:1:9", "lowerdir=/u:/a"]);
  expect(withoutVolatile(mapped)[0]?.options.slice(-2)).toEqual(["uidmap=0:1:2,3:4:5", "gidmap=0:1:9"]);
});
