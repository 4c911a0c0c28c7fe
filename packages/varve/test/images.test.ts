import { putIndex } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import { defaultPlatform } from "@varve/oci";
import { expect, test } from "vitest";
import { testStore } from "./store.ts";

const layers = [{ base: "base" }, { top: "top" }];

test("an image gets further names, is listed by them, and is gone when the last is removed", async () => {
  await using store = await testStore();
  const { name, target } = await store.pull("app", layers);
  expect(await store.run(["images", "tag", name, "team/app:v1"])).toMatchObject({
    code: 0,
    stdout: "docker.io/team/app:v1\n",
    stderr: "",
  });
  await expect(store.json("images", "tag", "team/app:v1", "app")).resolves.toMatchObject({
    name: "docker.io/library/app:latest",
    target,
  });
  const names = ["docker.io/library/app:latest", "docker.io/team/app:v1", name].toSorted();
  expect((await store.run(["images", "ls", "-q"])).stdout.trimEnd().split("\n").toSorted()).toEqual(names);
  // C-MD.8: one of several filters is enough.
  const filters = ["--filter", "name~=team", "--filter", `name==${JSON.stringify(name)}`];
  await expect(store.json("images", "ls", ...filters)).resolves.toMatchObject({
    images: [{ name }, { name: "docker.io/team/app:v1" }].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  });
  expect(await store.run(["images", "ls", "--filter", "name=="])).toMatchObject({ code: 2, stdout: "" });
  // The rest is removed all the same.
  expect(await store.run(["images", "rm", "app", "missing", "other/missing", name])).toEqual({
    code: 3,
    stdout: `docker.io/library/app:latest\n${name}\n`,
    stderr:
      "varve: image docker.io/other/missing:latest: not found\nvarve: image docker.io/library/missing:latest: not found\n",
  });
  const last = await store.run(["images", "rm", "team/app:v1", "--progress", "auto"]);
  expect(last).toEqual({ code: 0, stdout: "docker.io/team/app:v1\n", stderr: "varve gc frees the space\n" });
  await expect(store.json("images", "ls")).resolves.toEqual({ images: [] });
});

test("a record that has no normalised name can be named as it is listed", async () => {
  await using store = await testStore();
  const { target } = await store.pull("app", layers.slice(0, 1));
  const client = await openClient({ root: store.path, snapshotter: "native" });
  for (const name of ["app", "Some Thing"]) await client.images.put({ name, target: { ...target } });
  await client.close();
  await expect(store.json("images", "rm", "app", "Some Thing")).resolves.toEqual({ removed: ["app", "Some Thing"] });
});

test("inspect shows config, layers, labels and snapshots", async () => {
  await using store = await testStore();
  const { chainId, layers: pulled, name, target } = await store.pull("app", layers);
  await expect(store.json("images", "inspect", name)).resolves.toMatchObject({
    name,
    target,
    labels: {},
    image: {
      manifest: target,
      platform: expect.stringContaining("linux/"),
      config: { config: { Cmd: ["/bin/app"], Env: ["PATH=/bin"] }, rootfs: { type: "layers" } },
      layers: pulled.map((layer) => ({
        digest: layer.digest,
        size: layer.size,
        diffId: layer.diffId,
        chainId: layer.chainId,
        stored: true,
      })),
      snapshots: { native: chainId },
    },
  });
  const { code, stdout, stderr } = await store.run(["images", "inspect", name]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const line of [
    /^name +127/,
    /^command +\["\/bin\/app"\]$/,
    /^env +PATH=\/bin$/,
    /^image label +maintainer=nobody$/,
  ]) {
    expect(stdout).toMatch(new RegExp(line.source, "m"));
  }
  expect(stdout).toMatch(new RegExp(`^unpacked +native ${chainId}$`, "m"));
  for (const { chainId: chain, digest } of pulled) expect(stdout).toMatch(new RegExp(`yes +${digest} +${chain}$`, "m"));
  expect(await store.run(["images", "inspect", "missing"])).toMatchObject({ code: 3, stdout: "" });
});

test("of an index, inspect shows which platforms are stored, also if none is this machine's", async () => {
  await using store = await testStore();
  const [here, there] = [defaultPlatform(), { os: "linux", architecture: "s390x" }];
  const index = await putIndex(store.registry.content, [
    { platform: here, layers },
    { platform: there, layers: layers.slice(1) },
  ]);
  const reference = await store.registry.tag("app", index);
  // G-39: fetched, and not unpacked.
  await expect(store.json("content", "fetch", reference, "--platform", "linux/s390x")).resolves.toMatchObject({
    name: reference,
    blobs: 4,
  });
  const inspected = await store.json("images", "inspect", reference);
  expect(inspected).toMatchObject({ platforms: [{ stored: false }, { platform: "linux/s390x", stored: true }] });
  expect(inspected).not.toHaveProperty("image");
  await expect(store.json("images", "inspect", reference, "--platform", "linux/s390x")).resolves.toMatchObject({
    image: { platform: "linux/s390x", snapshots: {} },
  });
  expect(await store.run(["images", "inspect", reference, "--platform", "linux/ppc64le"])).toMatchObject({
    code: 3,
    stdout: "",
    stderr: expect.stringContaining("linux/ppc64le"),
  });
  const check = await store.run(["images", "check"]);
  expect(check).toMatchObject({ code: 5, stderr: expect.stringMatching(/^varve: 1 image not complete for .*\n$/) });
  expect(check.stdout).toMatch(/unavailable +- /);
  expect((await store.run(["images", "check", "--platform", "linux/s390x"])).stdout).toMatch(/complete +3\/3 .* -\n$/);
  await expect(store.json("content", "fetch", reference, "--platform", "all")).resolves.toMatchObject({ blobs: 7 });
  await expect(store.json("images", "check")).resolves.toMatchObject({
    images: [{ name: reference, status: "complete", required: 4, present: 4, missing: [], unpacked: [] }],
  });
});

test("an image that lacks a layer is not complete, and the layer is named", async () => {
  await using store = await testStore();
  const { layers: pulled, name } = await store.pull("app", layers);
  const digest = pulled[0]?.digest ?? "";
  await expect(store.json("images", "check", name)).resolves.toMatchObject({
    images: [{ status: "complete", unpacked: ["native"] }],
  });
  expect(await store.run(["content", "rm", digest])).toMatchObject({ code: 0, stdout: `${digest}\n` });
  const outcome = await store.run(["images", "check", "--json"]);
  expect(outcome).toMatchObject({ code: 5, stderr: expect.stringContaining(`pull again: ${name}`) });
  expect(JSON.parse(outcome.stdout)).toMatchObject({
    images: [{ name, status: "incomplete", required: 4, present: 3, missing: [{ digest }] }],
  });
  expect(await store.run(["content", "rm", digest])).toMatchObject({ code: 3, stdout: "" });
});
