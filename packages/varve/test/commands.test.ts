import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdCompressSync, gzipSync } from "node:zlib";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import type { PullResult } from "@varve/client";
import { digestOf } from "@varve/digest";
import { childrenHandler } from "@varve/images";
import { pushImage } from "@varve/remotes";
import { createRegistryResolver } from "@varve/remotes-registry";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { ended, parsed, start, varve } from "./command.ts";
import { tempDirectory } from "./temp.ts";

const isRoot = process.geteuid?.() === 0;

async function tarOf(name: string, content: string): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name }, content);
  tar.finalize();
  return Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Uint8Array>));
}

/** Starts `varve serve`, and gives where it listens. */
async function serve(args: readonly string[]): Promise<AsyncDisposable & { readonly host: string }> {
  const child = start(["serve", "--listen", "127.0.0.1:0", "--progress", "none", ...args]);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return {
    host: /^listening on (.*)\n$/.exec(line.toString())?.[1] ?? line.toString(),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended(child);
      expect(child.exitCode).toBe(0);
    },
  };
}

test("an image that is pushed to varve serve can be pulled from it into another store", async () => {
  await using local = await startRegistry();
  await using first = await tempDirectory();
  await using second = await tempDirectory();
  await using server = await serve(["--root", first.path]);
  const reference = `${server.host}/team/app:v1`;
  const image = await putImage(local.content, [{ base: "base" }, { top: "top" }]);
  const registry = createRegistryResolver();
  await pushImage(image, {
    provider: local.content,
    pusher: registry.pusher(reference),
    children: childrenHandler(local.content),
    tags: ["v1"],
  });
  await registry.close();
  const args = ["pull", "--json", "--root", second.path, "--snapshotter", "native", reference];
  const result = parsed(await varve(args)) as PullResult;
  expect(result).toMatchObject({ name: reference, target: image });
  expect(parsed(await varve(["images", "ls", "--json", "--root", first.path]))).toMatchObject({
    images: [{ target: image }],
  });
});

test("varve serve --read-only takes nothing", async () => {
  await using root = await tempDirectory();
  await using server = await serve(["--root", root.path, "--read-only"]);
  const response = await fetch(`http://${server.host}/v2/app/blobs/uploads/`, { method: "POST" });
  expect(response.status).toBe(405);
  const version = await fetch(`http://${server.host}/v2/`);
  expect(version.status).toBe(200);
});

test("layers are applied to a directory from files of each kind and from standard input, the lowest first", async () => {
  await using temp = await tempDirectory();
  const tars = await Promise.all(["plain", "gzip", "zstd", "stdin"].map((name) => tarOf(name, `in ${name}`)));
  const [plain, gzip, zstd, stdin] = tars.map((tar) => Buffer.from(tar));
  const target = join(temp.path, "rootfs");
  await mkdir(target);
  await writeFile(join(temp.path, "1.tar"), plain ?? "");
  await writeFile(join(temp.path, "2.tar.gz"), gzipSync(gzip ?? ""));
  await writeFile(join(temp.path, "3.tar.zst"), zstdCompressSync(zstd ?? ""));
  const files = ["1.tar", "2.tar.gz", "3.tar.zst"].map((name) => join(temp.path, name));
  const outcome = await varve(["layer", "apply", ...files, "-", target, "--json"], { input: gzipSync(stdin ?? "") });
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  const skipped = { devices: 0, filtered: 0, owners: 0, xattrs: 0 };
  expect(parsed(outcome)).toEqual({
    layers: tars.map((tar) => ({ diffId: digestOf(tar), size: tar.length, entries: 1, skipped })),
  });
  expect((await readdir(target)).toSorted()).toEqual(["gzip", "plain", "stdin", "zstd"]);
  await expect(readFile(join(target, "stdin"), "utf8")).resolves.toBe("in stdin");
});

test("a layer that is missing ends with 3, also when it is not the first, in one line", async () => {
  await using temp = await tempDirectory();
  const tar = join(temp.path, "1.tar");
  const missing = join(temp.path, "2.tar");
  await writeFile(tar, await tarOf("file", "text"));
  const target = join(temp.path, "rootfs");
  await mkdir(target);
  expect(await varve(["layer", "apply", tar, missing, target])).toEqual({
    code: 3,
    stdout: "",
    stderr: expect.stringMatching(/^varve: layer .*2\.tar: no such file[^\n]*\n$/),
  });
});

test.skipIf(!isRoot)("an image is mounted, and unmounted by another run (skipped: only root may mount)", async () => {
  await using registry = await startRegistry();
  await using temp = await tempDirectory();
  const target = join(temp.path, "rootfs");
  await mkdir(target);
  const name = await registry.tag("app", await putImage(registry.content, [{ base: "base" }, { top: "top" }]));
  const common = ["--root", join(temp.path, "store"), "--snapshotter", "native"];
  await varve([...common, "pull", name]);
  expect(await varve([...common, "mount", name, target])).toEqual({ code: 0, stdout: `${target}\n`, stderr: "" });
  await expect(readFile(join(target, "base"), "utf8")).resolves.toBe("base");
  await expect(writeFile(join(target, "new"), "")).rejects.toMatchObject({ code: "EROFS" });
  expect(await varve([...common, "mount", "--view", name, target])).toMatchObject({ code: 1 });
  expect(await varve([...common, "unmount", target])).toEqual({ code: 0, stdout: "", stderr: "" });
  // The second is what the first was called before.
  for (const option of ["--rw", "--writable"]) {
    expect(await varve([...common, "mount", option, "--json", name, target])).toMatchObject({
      code: 0,
      stdout: `${JSON.stringify({ reference: name, directory: target })}\n`,
    });
    await writeFile(join(target, "new"), "");
    expect(await varve([...common, "umount", target])).toMatchObject({ code: 0 });
  }
  await expect(readdir(target)).resolves.toEqual([]);
  expect(await varve([...common, "unmount", target])).toMatchObject({
    code: 3,
    stderr: `varve: mount ${target}: no image of this store is mounted there\n`,
  });
});
