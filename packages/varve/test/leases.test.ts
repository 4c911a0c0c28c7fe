import { expect, test } from "vitest";
import { parsed } from "./command.ts";
import { testStore } from "./store.ts";

interface Listed {
  readonly leases: readonly { readonly id: string; readonly createdAt: string; readonly expiresAt?: string }[];
}

test("a lease is created with id, expiry and labels, listed, and removed", async () => {
  await using store = await testStore();
  const create = ["leases", "create", "--id", "nightly", "--expires", "1h30m", "--label", "job=a=b", "--label", "x=y"];
  expect(await store.run(create)).toEqual({ code: 0, stdout: "nightly\n", stderr: "" });
  expect(await store.run(create)).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("nightly") });
  const forever = parsed(await store.run(["leases", "create", "--json"])) as { readonly id: string };
  expect(forever.id).toMatch(/./);
  const { leases } = (await store.json("leases", "ls", "--filter", "labels.x==y")) as Listed;
  expect(leases).toMatchObject([
    {
      id: "nightly",
      labels: { job: "a=b", x: "y" },
      createdAt: expect.any(String),
      expiresAt: expect.any(String),
      resources: 0,
    },
  ]);
  const [{ createdAt, expiresAt } = { createdAt: "", expiresAt: "" }] = leases;
  // The expiry is counted by the command, the creation by the store, a moment later.
  expect(Math.round((Date.parse(expiresAt ?? "") - Date.parse(createdAt)) / 300_000)).toBe(18);
  expect((await store.run(["leases", "ls"])).stdout).toMatch(/^nightly +0 +\S+Z +\S+Z +job=a=b,x=y$/m);
  expect((await store.run(["leases", "ls"])).stdout).toMatch(new RegExp(`^${forever.id} +0 +\\S+ +never +-$`, "m"));
  expect(await store.run(["leases", "rm", "nightly", "missing"])).toMatchObject({ code: 3, stdout: "nightly\n" });
  expect((await store.run(["leases", "ls", "-q"])).stdout).toBe(`${forever.id}\n`);
});

// U-MD.1
test("namespaces have images of their own, and are chosen by an option or by the environment", async () => {
  await using store = await testStore();
  const { name } = await store.pull("app", [{ file: "text" }]);
  const inOther = { env: { VARVE_NAMESPACE: "other" } };
  expect((await store.run(["images", "ls", "-q"], inOther)).stdout).toBe("");
  expect((await store.run(["pull", name], inOther)).code).toBe(0);
  expect((await store.run(["images", "rm", name, "-n", "other"])).stdout).toBe(`${name}\n`);
  expect((await store.run(["images", "ls", "-q", "--namespace", "default"], inOther)).stdout).toBe(`${name}\n`);
  expect((await store.run(["namespaces", "ls", "-q"])).stdout).toBe("default\nother\n");
  await expect(store.json("namespaces", "ls")).resolves.toMatchObject({ namespaces: [{ name: "default" }, {}] });
  for (const wrong of ["a/b", "", "x".repeat(77)]) {
    expect(await store.run(["images", "ls", "-n", wrong])).toMatchObject({ code: 2, stdout: "" });
  }
});
