import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { putImage, putIndex, startRegistry } from "@varve-tools/test-registry";
import type { PushResult } from "@varve/client";
import { expect, test } from "vitest";
import { parsed, varve } from "./command.ts";
import { testStore } from "./store.ts";
import { tempDirectory } from "./temp.ts";

const layers = [{ "etc/base": "base" }, { "etc/top": "top" }];
const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64", variant: "v8" };

test("a stored image is pushed under another name with all its tags, and a second push sends nothing", async () => {
  await using store = await testStore();
  await using other = await startRegistry();
  const pulled = await store.pull("app", layers);
  const to = `${other.host}/mirror/app:v1`;
  const file = join(store.path, "digest");
  const first = (await store.json("push", pulled.name, to, "--tag", "v2", "--digestfile", file)) as PushResult;
  expect(first).toMatchObject({ name: to, target: pulled.target, existed: 0, mounted: 0, sent: 4 });
  expect(await readFile(file, "utf8")).toBe(pulled.target.digest);
  for (const tag of ["v1", "v2"]) {
    expect((await varve(["digest", `${other.host}/mirror/app:${tag}`])).stdout).toBe(`${pulled.target.digest}\n`);
  }
  const quiet = await store.run(["push", "-q", pulled.name, to]);
  expect(quiet).toEqual({ code: 0, stdout: `${pulled.target.digest}\n`, stderr: "" });
  expect(await store.json("push", pulled.name, to, "--platform", "all")).toMatchObject({ target: pulled.target });
  // P12
  expect(await store.json("push", pulled.name, to)).toMatchObject({ existed: 4, sent: 0, sentBytes: 0 });
});

test("of an index whose images are not all stored nothing is pushed, but one platform is", async () => {
  await using store = await testStore();
  await using other = await startRegistry();
  const platforms = [
    { platform: amd64, layers },
    { platform: arm64, layers },
  ];
  const name = await store.registry.tag("app", await putIndex(store.registry.content, platforms));
  await store.json("pull", name, "--platform", "linux/arm64");
  const whole = await store.run(["push", name, `${other.host}/app:v1`]);
  expect(whole.code).toBe(3);
  expect(whole.stderr).toMatch(/linux\/amd64.*not stored.*push one platform/);
  expect(await varve(["digest", `${other.host}/app:v1`])).toMatchObject({ code: 3 });
  expect(await store.json("push", name, `${other.host}/app:v1`, "--platform", "linux/arm64")).toMatchObject({
    sent: 4,
  });
});

test("copy takes an image from one registry to another with one digest, past the store", async () => {
  await using from = await startRegistry();
  await using to = await startRegistry();
  await using temp = await tempDirectory();
  const platforms = [
    { platform: amd64, layers },
    { platform: arm64, layers: [{ other: "layer" }] },
  ];
  const index = await putIndex(from.content, platforms);
  const name = await from.tag("app", index);
  const root = join(temp.path, "store");
  const copied = await varve(["copy", "--json", "--root", root, name, `${to.host}/app:v1`]);
  expect(parsed(copied)).toMatchObject({ target: index });
  expect((await varve(["digest", `${to.host}/app:v1`])).stdout).toBe(`${index.digest}\n`);
  await expect(readFile(root)).rejects.toMatchObject({ code: "ENOENT" });
  const image = await putImage(from.content, layers, amd64);
  const one = parsed(await varve(["copy", "--json", "--platform", "linux/amd64", name, `${to.host}/app:amd64`]));
  expect(one).toMatchObject({ target: image, sent: 1 });
});
