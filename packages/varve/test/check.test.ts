import { chmod, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CheckReport, RepairReport } from "@varve/client";
import { expect, test } from "vitest";
import { parsed } from "./command.ts";
import { blobPath, testStore } from "./store.ts";
import { tempDirectory } from "./temp.ts";

const layers = [{ base: "base" }, { top: "top" }];

async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  await chmod(path, 0o600);
  await writeFile(path, bytes);
}

// G-12
test("a flipped bit in a layer ends check with 5 and is named, repair takes it away, and a pull mends the image", async () => {
  await using store = await testStore();
  const { chainId, layers: pulled, name } = await store.pull("app", layers);
  const digest = pulled[1]?.digest ?? "";
  const whole = await store.run(["check"]);
  expect(whole).toMatchObject({ code: 0, stderr: "" });
  expect(whole.stdout).toMatch(/^4 blobs, 2 snapshots, 1 image checked \(.*\) in .*\n$/);

  await flipBit(blobPath(store, digest));
  // Sizes are right, so a quick look finds nothing.
  expect(await store.run(["check", "--quick"])).toMatchObject({ code: 0 });
  const found = await store.run(["check"]);
  expect(found).toMatchObject({ code: 5, stderr: expect.stringMatching(/^varve: store: \d problems? found, .*\n$/) });
  expect(found.stdout).toMatch(new RegExp(`^damaged content ${digest}: .*needed by ${name}$`, "m"));
  const report = parsed(await store.run(["check", "--json"])) as CheckReport;
  expect(report.problems).toContainEqual(
    expect.objectContaining({ kind: "damaged", images: [name], actual: expect.stringMatching(/^sha256:/) }),
  );

  const repaired = await store.run(["repair"]);
  expect(repaired.code).toBe(0);
  expect(repaired.stdout).toMatch(new RegExp(`^pull again: ${name}$`, "m"));
  expect(((await store.json("df")) as { quarantined: { count: number } }).quarantined.count).toBe(1);
  await expect(store.json("pull", name)).resolves.toMatchObject({ chainId });
  expect(await store.run(["check"])).toMatchObject({ code: 0 });
  expect(await store.run(["images", "check", name])).toMatchObject({ code: 0 });
  const again = (await store.json("repair")) as RepairReport;
  expect(again).toEqual({ repairs: [], pullAgain: [] });
  expect((await store.run(["repair"])).stdout).toBe("nothing to repair\n");
});

test("check names snapshots whose files somebody removed or replaced by a link, and repair follows no link", async () => {
  await using store = await testStore();
  await using outside = await tempDirectory();
  await writeFile(join(outside.path, "precious"), "");
  const { chainId, name } = await store.pull("app", layers.slice(0, 1));
  await store.run(["snapshots", "prepare", "work"]);
  const directories = `${store.path}/snapshots/native`;
  const ids = (await readdir(directories)).filter((entry) => /^\d+$/.test(entry)).toSorted();
  const [first = "", second = ""] = ids;
  expect(ids).toHaveLength(2);
  await rm(join(directories, first), { recursive: true });
  await rm(join(directories, second, "fs"), { recursive: true });
  await symlink(outside.path, join(directories, second, "fs"));

  const found = await store.run(["check"]);
  expect(found).toMatchObject({ code: 5, stderr: expect.stringMatching(/^varve: store: 2 problems found, .*\n$/) });
  expect(found.stdout).toMatch(new RegExp(`^missing snapshot ${chainId}: .*${first}.*; needed by ${name}$`, "m"));
  expect(found.stdout).toMatch(/^damaged snapshot work: .*$/m);
  const report = parsed(await store.run(["check", "--json"])) as CheckReport;
  expect(report.problems.map(({ kind, item }) => `${kind} ${item.type} ${item.id}`).toSorted()).toEqual([
    "damaged snapshot work",
    `missing snapshot ${chainId}`,
  ]);

  expect(await store.run(["repair"])).toMatchObject({ code: 0 });
  await expect(readdir(outside.path)).resolves.toEqual(["precious"]);
  await expect(store.json("pull", name)).resolves.toMatchObject({ chainId, layers: [{ status: "unpacked" }] });
  expect(await store.run(["check"])).toMatchObject({ code: 0 });
});
