import { putImage, startRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { PullResult } from "@varve/client";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { parsed, varve } from "./command.ts";
import { tempDirectory } from "./temp.ts";

const layers = [{ "etc/base": "base" }, { "etc/top": "top" }];

test("pull --json prints one object with exactly the promised fields, and of a second pull that all is there", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = await registry.tag("team/app", await putImage(registry.content, layers));
  const args = ["pull", "--json", "--root", root.path, "--snapshotter", "native", name];
  const first = await varve(args);
  expect(first.code).toBe(0);
  const result = parsed(first) as PullResult;
  expect(Object.keys(result)).toEqual([
    "name",
    "target",
    "platform",
    "snapshotter",
    "chainId",
    "layers",
    "durationMs",
    "summary",
  ]);
  expect(Object.keys(result.target)).toEqual(["mediaType", "digest", "size"]);
  for (const layer of result.layers) {
    expect(Object.keys(layer).toSorted()).toEqual(["chainId", "diffId", "digest", "size", "status"]);
  }
  expect(result.layers.map(({ status }) => status)).toEqual(["unpacked", "unpacked"]);
  expect(first.stdout.trimEnd()).not.toContain("\n");
  const sent = new Map(registry.sent);
  const second = parsed(await varve(args)) as PullResult;
  expect(second.layers.map(({ status }) => status)).toEqual(["exists", "exists"]);
  expect(registry.sent).toEqual(sent);
});

test("a quiet pull says the digest and nothing else", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const image = await putImage(registry.content, layers);
  const args = ["pull", "-q", "--root", root.path, "--snapshotter=native", await registry.tag("app", image)];
  expect(await varve(args)).toEqual({ code: 0, stdout: `${image.digest}\n`, stderr: "" });
});

test("a limit is for the layers of a pull, too", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = await registry.tag("team/app", await putImage(registry.content, layers));
  const args = ["pull", "--root", root.path, "--snapshotter=native", "--progress=none", name];
  const refused = await varve([...args, "--limit", "pathBytes=3"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^varve: .*layer sha256:.*\(pathBytes\)\n$/);
  expect(await varve(args)).toMatchObject({ code: 0 });
});

test("options stand before or after the command, and its arguments", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = await registry.tag("app", await putImage(registry.content, layers));
  const options = ["--root", root.path, "--snapshotter=native", "--platform", "linux/amd64", "--progress", "none"];
  for (const args of [
    [...options, "--json", "pull", name],
    ["pull", ...options, name, "--json"],
    ["pull", name, "--json", ...options],
  ]) {
    const outcome = await varve(args);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(parsed(outcome)).toMatchObject({ name, snapshotter: "native" });
  }
});

test("progress goes to standard error, and the result alone to standard output", async () => {
  await using registry = await startRegistry();
  const name = await registry.tag("app", await putImage(registry.content, layers.slice(0, 1)));
  for (const [mode, stderr] of [
    ["auto", /^127.*\n[\da-f]{12}: unpacked, .*\nfetched .*\nin .* s: resolve .*\ncritical path: resolve .*\n$/],
    ["plain", /unpacked/],
    ["tty", /\r.* {2}127[^]*unpacked[^]*\nfetched .*\nin .*\ncritical path: .*\n$/],
    ["json", /^(?:\{"version":1,.*\}\n)+\{"version":1,"type":"summary","durationMs":.*\}\n$/],
    ["none", /^$/],
  ] as const) {
    await using root = await tempDirectory();
    const args = ["pull", "--root", root.path, "--snapshotter", "native", "--progress", mode, name];
    const outcome = await varve(args);
    expect(outcome.stderr).toMatch(stderr);
    expect(outcome.stdout).toMatch(
      /^127\S+ sha256:\S+\n1 of 1 layers unpacked \(.*\) for linux\/\S+ by native in .*\nchain sha256:\S+\n$/,
    );
  }
});

test("the lists show what was pulled, to people and to programs", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = await registry.tag("app", await putImage(registry.content, layers));
  const common = ["--root", root.path, "--snapshotter", "native"];
  const outcome = await varve([...common, "pull", "--json", name]);
  const { target, chainId, layers: pulled } = parsed(outcome) as PullResult;
  const images = await varve([...common, "images", "ls"]);
  expect(images.stdout).toMatch(/^NAME .*\n127.*\n$/);
  expect(images.stdout).toContain(`${name}  ${target.mediaType}  ${target.digest}`);
  expect(parsed(await varve([...common, "images", "ls", "--json"]))).toMatchObject({ images: [{ name, target }] });
  const snapshots = (await varve([...common, "snapshots", "ls"])).stdout.trimEnd().split("\n");
  // Parents before children.
  expect(snapshots.slice(1).map((line) => line.split(/ {2,}/).slice(-2))).toEqual([
    [pulled[0]?.chainId, "-"],
    [chainId, pulled[0]?.chainId],
  ]);
  expect(parsed(await varve(["snapshots", "ls", "--json", ...common]))).toMatchObject({
    snapshots: [
      { kind: "committed", name: pulled[0]?.chainId, usage: { inodes: expect.any(Number) } },
      { kind: "committed", name: chainId, parent: pulled[0]?.chainId },
    ],
  });
  const content = await varve([...common, "content", "ls"]);
  for (const { digest } of [target, ...pulled]) expect(content.stdout).toMatch(new RegExp(`^${digest} .*`, "m"));
  expect(parsed(await varve([...common, "content", "ls", "--json"]))).toMatchObject({
    blobs: ["manifest", "config", ...pulled].map(() => ({ size: expect.any(Number) })),
  });
  expect(parsed(await varve([...common, "content", "ingests", "--json"]))).toEqual({ ingests: [] });
});

test("what a store holds is shown without the terminal acting on it", async () => {
  await using root = await tempDirectory();
  const client = await openClient({ root: root.path });
  const digest = digestOf("x");
  const mediaType = "a\u001B[2Jb\u009B31mc\nforged row\u202Ed";
  await client.images.put({ name: "example.com/app:latest", target: { mediaType, digest, size: 1 } });
  await client.close();
  const people = await varve(["images", "ls", "--root", root.path]);
  expect(people.stdout).toContain("a?[2Jb?31mc?forged row?d");
  const programs = await varve(["images", "ls", "--json", "--root", root.path]);
  expect(programs.stdout).toMatch(/^[ -~]*\n$/);
  expect(parsed(programs)).toMatchObject({ images: [{ target: { mediaType } }] });
});
