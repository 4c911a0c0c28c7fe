import { linkSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as sys from "@varve/syscalls";
import { expect, test } from "vitest";
// Nobody outside can make two threads finish the first copy of one file at the same moment.
import { LinkGroups } from "../src/link-groups.ts";
import { tempRoot } from "./temp-root.ts";

test("of two first copies of one file the later one gives way", () => {
  using base = tempRoot();
  const at = (name: string): string => join(base.path, name);
  for (const name of ["scratch", "copy"]) mkdirSync(at(name));
  for (const name of ["source", "copy/first", "copy/second"]) writeFileSync(at(name), name);
  linkSync(at("source"), at("source-too"));
  const stat = sys.statx(sys.AT_FDCWD, at("source"), 0);
  const directory = sys.openat2(sys.AT_FDCWD, at("copy"), { flags: sys.O_RDONLY });
  const threads = [new LinkGroups(at("scratch")), new LinkGroups(at("scratch"))];
  expect(threads.map((thread) => thread.link(stat, directory, Buffer.from("third")))).toEqual([false, false]);
  threads[0]?.add(stat, directory, Buffer.from("first"));
  threads[1]?.add(stat, directory, Buffer.from("second"));
  expect(threads[1]?.link(stat, directory, Buffer.from("third"))).toBe(true);
  const inodes = ["first", "second", "third"].map((name) => statSync(join(at("copy"), name)).ino);
  expect(new Set(inodes).size).toBe(1);
  threads[0]?.clear();
  for (const thread of threads) thread.close();
  sys.close(directory);
  expect(readdirSync(at("scratch"))).toEqual([]);
  expect(statSync(join(at("copy"), "first")).nlink).toBe(3);
});
