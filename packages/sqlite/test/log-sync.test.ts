import { readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LogSync } from "../src/log-sync.ts";
import { tempDir } from "./temp.ts";

/** A sync that waits until it is told how it ends. */
function heldSync(): { readonly calls: PromiseWithResolvers<void>[]; readonly sync: (fd: number) => Promise<void> } {
  const calls: PromiseWithResolvers<void>[] = [];
  return {
    calls,
    sync: () => {
      const call = Promise.withResolvers<void>();
      calls.push(call);
      return call.promise;
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("who comes while a sync runs shares the next one, and is not told before it has ended", async () => {
  using directory = tempDir();
  const path = join(directory.path, "database");
  writeFileSync(`${path}-wal`, "");
  const held = heldSync();
  const log = new LogSync(path, held.sync);
  const ended: string[] = [];
  const first = log.sync().then(() => ended.push("first"));
  await turn();
  const others = ["second", "third"].map((name) => log.sync().then(() => ended.push(name)));
  await turn();
  expect(held.calls).toHaveLength(1);
  held.calls[0]?.resolve();
  await first;
  await turn();
  expect(ended).toEqual(["first"]);
  expect(held.calls).toHaveLength(2);
  held.calls[1]?.resolve();
  await Promise.all(others);
  expect(held.calls).toHaveLength(2);
  log.close();
});

test("a sync that fails is told to those it was for, and not to the next", async () => {
  using directory = tempDir();
  const path = join(directory.path, "database");
  writeFileSync(`${path}-wal`, "");
  const held = heldSync();
  const log = new LogSync(path, held.sync);
  const failing = log.sync();
  await turn();
  const next = log.sync();
  held.calls[0]?.reject(new Error("disk"));
  await expect(failing).rejects.toThrow("disk");
  await turn();
  held.calls[1]?.resolve();
  await expect(next).resolves.toBeUndefined();
  log.close();
});

test("the log is closed when no sync runs any more", async () => {
  using directory = tempDir();
  const path = join(directory.path, "database");
  writeFileSync(`${path}-wal`, "");
  let descriptor = -1;
  const gate = Promise.withResolvers<void>();
  const log = new LogSync(path, (fd) => {
    descriptor = fd;
    return gate.promise;
  });
  const syncing = log.sync();
  await turn();
  log.close();
  expect(readlinkSync(`/proc/self/fd/${descriptor}`)).toBe(`${path}-wal`);
  gate.resolve();
  await syncing;
  await turn();
  expect(() => readlinkSync(`/proc/self/fd/${descriptor}`)).toThrow("ENOENT");
});
