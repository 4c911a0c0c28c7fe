import { expect, test } from "vitest";
import { isReadOnly, overlayDirectories, overlayOptions, readOnlyMounts, withoutVolatile } from "@varve/mount";
import type { Mount } from "@varve/mount";

const mount = (type: string, ...options: string[]): Mount => ({ type, source: type, options });

// U-MNT.2
test.each([
  [mount("erofs"), true],
  [mount("overlay", "lowerdir=/a:/b"), true],
  [mount("overlay", "lowerdir=/a", "upperdir=/u", "workdir=/w"), false],
  [mount("overlay", "lowerdir=/a", "upperdir=/u", "workdir=/w", "ro"), true],
  [mount("overlay", "lowerdir=/a,upperdir=/u,workdir=/w"), false],
  [mount("overlay", "index=off,lowerdir=/a,ro,upperdir=/u"), true],
  [mount("format/mkdir/overlay", "lowerdir=/a"), true],
  [mount("mkfs/ext4"), false],
  [mount("bind", "rbind", "ro"), true],
  [mount("bind", "rbind", "rw"), false],
  [mount("bind", "rbind,ro"), true],
  [mount("bind", "ro,rw"), false],
  [mount("ext4"), false],
  [mount("ext4", "errors=remount-ro"), false],
])("%j is read-only: %s", (given, expected) => {
  expect(isReadOnly(given)).toBe(expected);
});

// U-MNT.3
test("an overlay for reading has its upper directory as the topmost lower one", () => {
  const given = Object.freeze([
    Object.freeze(mount("overlay", "index=off", "volatile", "lowerdir=/a:/b", "upperdir=/u", "workdir=/w", "rw")),
  ]);
  const [result] = readOnlyMounts(given);
  expect(result).toEqual(mount("overlay", "index=off", "lowerdir=/u:/a:/b"));
  expect(given[0]?.options).toHaveLength(6);
});

test("an overlay that is read-only already stays as it is", () => {
  const given = mount("overlay", "lowerdir=/a:/b");
  expect(readOnlyMounts([given])).toEqual([given]);
});

test("other mounts for reading get `ro` once and lose `rw`", () => {
  expect(readOnlyMounts([mount("bind", "rbind", "rw"), mount("ext4", "rw,noatime"), mount("bind", "ro")])).toEqual([
    mount("bind", "rbind", "ro"),
    mount("ext4", "noatime", "ro"),
    mount("bind", "ro"),
  ]);
});

// U-MNT.4
test("`volatile` is dropped from overlays only", () => {
  expect(withoutVolatile([mount("overlay", "lowerdir=/a,volatile"), mount("other", "volatile")])).toEqual([
    mount("overlay", "lowerdir=/a"),
    mount("other", "volatile"),
  ]);
});

test("directories with colons, commas and backslashes come back from the options", () => {
  const directories = { upper: "/u,1", work: "/w\\", lower: ["/a:b", "/c,\\:d", "/e"], data: ["/x", "/y:z"] };
  const options = overlayOptions(directories);
  expect(options[0]).toBe(String.raw`lowerdir=/a\:b:/c\,\\\:d:/e::/x::/y\:z`);
  expect(overlayDirectories(mount("overlay", ...options))).toEqual(directories);
  expect(overlayDirectories(mount("overlay", options.join(",")))).toEqual(directories);
});

test("single layers add up", () => {
  expect(overlayDirectories(mount("overlay", "lowerdir+=/a", "lowerdir+=/b", "datadir+=/c"))).toEqual({
    lower: ["/a", "/b"],
    data: ["/c"],
  });
});

test("a comma inside quotes does not end an option", () => {
  expect(isReadOnly(mount("tmpfs", 'context="a,ro"'))).toBe(false);
});

test("the directories of something else than an overlay are an error", () => {
  expect(() => overlayDirectories(mount("bind"))).toThrow("mount of type bind: not an overlay");
});
