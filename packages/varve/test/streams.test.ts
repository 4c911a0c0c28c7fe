import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import { createMemoryContentStore } from "@varve/content-memory";
import { openClient } from "@varve/client";
import { createMemoryTagStore, createRegistryServer } from "@varve/registry-server";
import type { ContentStore } from "@varve/content";
import { isLayerType } from "@varve/oci";
import { readBlob } from "@varve/content";
import { expect, test } from "vitest";
import { ended, main, start, varve } from "./command.ts";
import { tempDirectory } from "./temp.ts";
import { withOpen } from "./with-open.ts";

/** A registry that sends one byte of each layer, and no more until it closes. */
async function startStuckRegistry(): Promise<
  AsyncDisposable & { readonly name: string; readonly stuck: Promise<void> }
> {
  const content = createMemoryContentStore();
  const stuck = Promise.withResolvers<void>();
  const tags = createMemoryTagStore();
  const image = await putImage(content, [{ base: "base" }, { top: "top" }]);
  await tags.put("app", "latest", image);
  const manifest: unknown = JSON.parse(Buffer.from(await readBlob(content, image)).toString());
  const server = createRegistryServer({ content: withStuckLayers(content, layersOf(manifest), stuck.resolve), tags });
  const { port } = await server.listen();
  return {
    name: `127.0.0.1:${port}/app`,
    stuck: stuck.promise,
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await content.close();
    },
  };
}

function layersOf(manifest: unknown): ReadonlySet<string> {
  const { layers } = manifest as {
    readonly layers: readonly { readonly mediaType: string; readonly digest: string }[];
  };
  return new Set(layers.filter(({ mediaType }) => isLayerType(mediaType)).map(({ digest }) => digest));
}

function withStuckLayers(content: ContentStore, layers: ReadonlySet<string>, onStuck: () => void): ContentStore {
  const open: ContentStore["open"] = async (descriptor, options) => {
    const reader = await content.open(descriptor, options);
    if (!layers.has(descriptor.digest)) return reader;
    return {
      size: reader.size,
      read: (...args) => reader.read(...args),
      async *stream({ signal } = {}) {
        yield* reader.stream({ end: 1 });
        onStuck();
        if (signal !== undefined) await once(signal, "abort");
      },
      close: () => reader.close(),
      [Symbol.asyncDispose]: () => reader.close(),
    };
  };
  return withOpen(content, open);
}

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s ends a pull with 130, and leaves neither a snapshot nor an image",
  async (signal) => {
    await using root = await tempDirectory();
    await using registry = await startStuckRegistry();
    const child = start(["pull", "--root", root.path, "--snapshotter", "native", registry.name]);
    await registry.stuck;
    child.kill(signal);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), ended(child)]);
    expect(child).toMatchObject({ exitCode: 130, signalCode: null });
    expect(stdout).toBe("");
    expect(stderr).toContain(`varve: interrupted by ${signal}`);
    await using client = await openClient({ root: root.path, snapshotter: "native" });
    const snapshotter = await client.snapshotter();
    await expect(Array.fromAsync(snapshotter.walk())).resolves.toEqual([]);
    await expect(Array.fromAsync(client.images.list())).resolves.toEqual([]);
  },
);

test("a reader of the result that goes away is no failure", async () => {
  await using root = await tempDirectory();
  const child = start(["images", "ls", "--root", root.path]);
  child.stdout.destroy();
  const [stderr] = await Promise.all([text(child.stderr), ended(child)]);
  expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: "" });
});

test("a reader of the progress that goes away does not end the pull", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = await registry.tag("app", await putImage(registry.content, [{ base: "base" }, { top: "top" }]));
  const child = start(["pull", "--json", "--root", root.path, "--snapshotter", "native", "--progress", "json", name]);
  child.stderr.destroy();
  const [stdout] = await Promise.all([text(child.stdout), ended(child)]);
  expect(child.exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ name });
});

test("a result that cannot be written is a failure, in one line", async () => {
  await using root = await tempDirectory();
  const full = openSync("/dev/full", "w");
  try {
    const args = [main, "images", "ls", "--root", root.path];
    const child = spawn(process.execPath, args, { stdio: ["ignore", full, "pipe"] });
    const [stderr] = await Promise.all([child.stderr === null ? "" : text(child.stderr), ended(child)]);
    expect({ code: child.exitCode, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^varve: standard output: ENOSPC.*\n$/),
    });
  } finally {
    closeSync(full);
  }
});

test("help and version go to standard output, and end with 0", async () => {
  const help = await varve(["--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  const commands = [
    "pull",
    "mount",
    "unmount",
    "images",
    "content",
    "snapshots",
    "leases",
    "namespaces",
    "gc",
    "check",
  ];
  for (const command of [...commands, "repair", "df", "layer", "serve"]) {
    expect(help.stdout).toMatch(new RegExp(`^  ${command}\\b.*\\S`, "m"));
  }
  for (const option of [
    "--root",
    "--namespace",
    "--platform",
    "--snapshotter",
    "--plain-http",
    "--progress",
    "--json",
  ]) {
    expect(help.stdout).toContain(option);
  }
  expect(await varve(["pull", "--help"])).toMatchObject({ code: 0, stdout: expect.stringContaining("<reference>") });
  const { default: description } = await import("../package.json", { with: { type: "json" } });
  expect(await varve(["--version"])).toEqual({ code: 0, stdout: `${description.version}\n`, stderr: "" });
});

test("a command loads what it needs, and no HTTP client, system calls or registry besides", async () => {
  await using root = await tempDirectory();
  const report = `
    import { registerHooks } from "node:module";
    registerHooks({ load(url, context, next) { process.stderr.write(url + "\\n"); return next(url, context); } });
  `;
  const node = ["--import", `data:text/javascript,${encodeURIComponent(report)}`];
  const help = await varve(["--help"], { node });
  expect(help.stderr).toContain("/commander/");
  expect(help.stderr).not.toMatch(/undici|koffi|node:sqlite|packages\/client\//);
  const list = await varve(["images", "ls", "--root", root.path], { node });
  expect(list.stderr).toContain("node:sqlite");
  expect(list.stderr).not.toMatch(/undici|koffi|remotes-registry|registry-server|differ|snapshots-/);
});

test("the warning of Node 22 about SQLite is not shown, any other is", async () => {
  const url = new URL("../src/sqlite-warning.ts", import.meta.url);
  const program = `
    import { hideSqliteWarning } from ${JSON.stringify(url.href)};
    hideSqliteWarning();
    process.emitWarning("SQLite is an experimental feature and might change at any time", "ExperimentalWarning");
    process.emitWarning("VM Modules is an experimental feature", "ExperimentalWarning");
    process.emitWarning("SQLite is an experimental feature", { type: "Other", code: "X1" });
    process.emitWarning(new Error("some error"));
  `;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program]);
  const [stderr] = await Promise.all([text(child.stderr), ended(child)]);
  expect(stderr).not.toContain("might change");
  expect(stderr).toMatch(/ExperimentalWarning: VM Modules.*\[X1\] Other: SQLite.*some error/s);
});
