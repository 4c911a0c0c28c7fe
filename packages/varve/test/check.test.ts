import { chmod, readFile, writeFile } from "node:fs/promises";
import type { CheckReport, RepairReport } from "@varve/client";
import { expect, test } from "vitest";
import { parsed } from "./command.ts";
import { blobPath, testStore } from "./store.ts";

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
