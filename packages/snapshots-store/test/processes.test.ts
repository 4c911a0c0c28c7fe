import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openSnapshotStore } from "@varve/snapshots-store";
import { expect, test } from "vitest";
import { tempRoot } from "./temp-root.ts";

function start(root: string, task: string): ChildProcess {
  return fork(join(import.meta.dirname, "child.ts"), [root, task], { execArgv: [], stdio: "inherit" });
}

test("of several processes that create the same keys each key has one winner", async () => {
  using root = tempRoot();
  const won: string[] = [];
  const children = [1, 2, 3].map(() => start(root.path, "compete"));
  for (const child of children) child.on("message", (keys: string[]) => won.push(...keys));
  await Promise.all(children.map((child) => once(child, "close")));
  expect(won.length).toBe(40);
  expect(new Set(won).size).toBe(40);
  await using store = await openSnapshotStore({ root: root.path });
  for (const key of won) {
    const { id } = await store.get(key);
    expect(readdirSync(join(store.directory(id), "fs")).length).toBe(20);
  }
  expect(readdirSync(root.path).filter((name) => !name.startsWith("metadata.db")).length).toBe(40);
});

test("of several processes that commit to the same names each name has one winner, and is whole", async () => {
  using root = tempRoot();
  const won: string[] = [];
  const children = [1, 2].map(() => start(root.path, "contest"));
  for (const child of children) child.on("message", (names: string[]) => won.push(...names));
  await Promise.all(children.map((child) => once(child, "close")));
  expect(won.length).toBe(20);
  expect(new Set(won).size).toBe(20);
  await using store = await openSnapshotStore({ root: root.path });
  const ids: string[] = [];
  for await (const { id, kind, name } of store.walk()) {
    expect(kind).toBe(name.startsWith("name-") ? "committed" : "active");
    expect(readdirSync(join(store.directory(id), "fs")).length).toBe(20);
    ids.push(String(id));
  }
  const left = readdirSync(root.path).filter((name) => !name.startsWith("metadata.db"));
  expect(left.toSorted()).toEqual(ids.toSorted());
});

test("a cleanup leaves what another process is building", async () => {
  using root = tempRoot();
  const child = start(root.path, "buildSlowly");
  await once(child, "message");
  await using store = await openSnapshotStore({ root: root.path });
  await store.cleanup();
  child.send("go on");
  await once(child, "message");
  const { id } = await store.get("slow");
  expect(readdirSync(join(store.directory(id), "fs")).length).toBe(20);
});

test("what a process was building when it was killed goes at the next cleanup", async () => {
  using root = tempRoot();
  const child = start(root.path, "buildSlowly");
  await once(child, "message");
  await using store = await openSnapshotStore({ root: root.path });
  expect(readdirSync(root.path).some((name) => name.startsWith("new-"))).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  await store.cleanup();
  expect(readdirSync(root.path).filter((name) => !name.startsWith("metadata.db"))).toEqual([]);
  await store.create({ kind: "active", key: "slow" });
});

// K09, K12, K15, I1, I3, I4
test("a process killed at any moment leaves whole snapshots and nothing that no snapshot owns", async () => {
  using root = tempRoot();
  const acknowledged = new Set<string>();
  for (let round = 0; round < 8; round += 1) {
    const child = start(root.path, "churn");
    const told: string[] = [];
    child.on("message", (name: string) => told.push(name));
    await once(child, "message");
    await sleep(Math.random() * 30);
    child.kill("SIGKILL");
    await once(child, "close");
    for (const name of told) if (Number(name.split("-")[1]) % 2 === 0) acknowledged.add(name);
    await using store = await openSnapshotStore({ root: root.path });
    const ids: string[] = [];
    for await (const info of store.walk()) {
      const { id } = await store.get(info.name);
      ids.push(String(id));
      expect(readdirSync(join(store.directory(id), "fs")).length).toBe(20);
      if (info.kind === "active") await store.remove(info.name);
    }
    const left = readdirSync(root.path).filter((name) => !name.startsWith("metadata.db"));
    expect(left.every((name) => ids.includes(name))).toBe(true);
    for (const name of acknowledged) expect((await store.stat(name)).kind).toBe("committed");
  }
  expect(existsSync(join(root.path, "metadata.db"))).toBe(true);
});
