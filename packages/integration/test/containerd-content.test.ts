import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bash, exec, missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { serveContainerd } from "@varve/containerd";
import type { CallFailure } from "@varve/containerd";
import type { ContentStore } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordsOf } from "../src/containerd/records.ts";
import { startContainerd } from "../src/containerd/started-containerd.ts";
import type { Ctr, StartedContainerd } from "../src/containerd/started-containerd.ts";
import { startCuttingProxy } from "../src/cutting-proxy.ts";
import { environment } from "../src/images-under-test.ts";
import { startLargeImageServer } from "../src/large-image-server.ts";

const absent = await missingPrograms(["containerd", "ctr"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);
const why = missing === undefined ? "" : `: ${missing}`;
const mebibyte = 1024 * 1024;

/** A content store of ours on a socket. */
interface ContentPlugin {
  readonly address: string;
  readonly content: ContentStore;
  /** Calls that failed by our fault. */
  readonly failures: readonly CallFailure[];
  close(): Promise<void>;
}

/** Serves what is kept in files of this directory. */
async function servePlugin(directory: string): Promise<ContentPlugin> {
  const content = await openContentStore({ root: join(directory, "content") });
  const failures: CallFailure[] = [];
  const address = join(directory, "content.sock");
  const server = await serveContainerd({ address, content, onError: (failure) => failures.push(failure) });
  const close = async (): Promise<void> => {
    await server.close();
    await content.close();
  };
  return { address, content, failures, close };
}

async function digestsIn(content: ContentStore): Promise<string[]> {
  const digests: string[] = [];
  for await (const { digest } of content.walk()) digests.push(digest);
  return digests.toSorted();
}

async function listed(ctr: Ctr): Promise<string[]> {
  return (await ctr("content", "ls", "--quiet")).trim().split("\n").toSorted();
}

/** The digest of what `ctr content get` prints. */
async function got(address: string, digest: string): Promise<string> {
  const { stdout } = await bash('ctr --address "$1" content get "$2" | sha256sum', [address, digest]);
  return `sha256:${stdout.slice(0, 64)}`;
}

/** Has ctr take in a file. */
async function ingest(address: string, file: string, ...args: readonly string[]): Promise<void> {
  await bash('file=$2 address=$1; shift 2; ctr --address "$address" content ingest "$@" <"$file"', [
    address,
    file,
    ...args,
  ]);
}

/** Waits until the one ingest there is has so many bytes, and gives them. */
async function ingestOf(content: ContentStore, atLeast: number): Promise<number> {
  for (;;) {
    for await (const { offset } of content.statuses()) if (offset >= atLeast) return offset;
    await sleep(10);
  }
}

async function isEmpty(content: ContentStore): Promise<boolean> {
  return (await Array.fromAsync(content.statuses())).length === 0 && (await digestsIn(content)).length === 0;
}

describe.skipIf(missing !== undefined)(`our content store as the only one of a containerd (privileged${why})`, () => {
  const reference = `${environment.registry}/app:oci-gzip`;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let plugin: ContentPlugin;
  let containerd: StartedContainerd;
  let ctr: Ctr;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    plugin = await servePlugin(directory.path);
    const proxies = [{ name: "varve", type: "content", address: plugin.address }] as const;
    containerd = await startContainerd({ directory: join(directory.path, "containerd"), proxies });
    ({ ctr } = containerd);
  });
  afterAll(async () => {
    await containerd.close();
    await plugin.close();
    await directory[Symbol.asyncDispose]();
  });

  test("P-ACC.8: it is pulled into, and containerd writes down what it writes down with its own store", async () => {
    const plugins = (await ctr("plugins", "ls")).split("\n").filter((line) => line.includes("content.v1"));
    expect(plugins.map((line) => line.split(/\s+/))).toEqual([["io.containerd.content.v1", "varve", "-", "ok", ""]]);
    await ctr("images", "pull", "--plain-http", reference);
    const ours = await recordsOf(ctr);
    expect(Object.keys(ours.content).toSorted()).toEqual(await digestsIn(plugin.content));
    expect(ours.ingests).toEqual([]);
    await using other = await startContainerd({ directory: join(directory.path, "other") });
    await other.ctr("images", "pull", "--plain-http", reference);
    expect(ours).toEqual(await recordsOf(other.ctr));
    for (const digest of Object.keys(ours.content)) expect(await got(containerd.address, digest)).toBe(digest);
  });

  test("P-ACC.8: an image is exported, removed without leaving anything, and imported again", async () => {
    const before = await recordsOf(ctr);
    const archive = join(directory.path, "archive.tar");
    await ctr("images", "export", archive, reference);
    await ctr("images", "rm", "--sync", reference);
    expect(await isEmpty(plugin.content)).toBe(true);
    await ctr("images", "import", archive);
    const after = await recordsOf(ctr);
    expect(after.images).toEqual(before.images);
    expect(after.snapshots).toEqual(before.snapshots);
    expect(await digestsIn(plugin.content)).toEqual(expect.arrayContaining(Object.keys(before.content)));
  });

  test("P-ACC.8: what is in it is there after a restart of containerd, and after one of ours", async () => {
    const before = await recordsOf(ctr);
    await containerd.restart();
    expect(await recordsOf(ctr)).toEqual(before);
    await plugin.close();
    const [some = ""] = Object.keys(before.content);
    await expect(got(containerd.address, some)).rejects.toThrow("unavailable");
    expect(plugin.failures).toEqual([]);
    plugin = await servePlugin(directory.path);
    // containerd waits three seconds at most before it connects again.
    const attempt = (): Promise<unknown> => got(containerd.address, some).catch(() => undefined);
    await expect.poll(attempt, { timeout: 30_000 }).toBe(some);
    for (const digest of Object.keys(before.content)) expect(await got(containerd.address, digest)).toBe(digest);
  });

  test("P-ACC.8: labels are set, changed and removed, and hold a blob when garbage is collected", async () => {
    const [file, blob] = [join(directory.path, "blob"), randomBytes(3 * mebibyte + 1)];
    await writeFile(file, blob);
    const digest = digestOf(blob);
    await ingest(containerd.address, file, "--expected-digest", digest, "--expected-size", `${blob.length}`, "a blob");
    await ctr("content", "label", digest, "containerd.io/gc.root=now", "a=b");
    await ctr("content", "label", digest, "a=");
    expect((await recordsOf(ctr)).content[digest]?.labels).toEqual({ "containerd.io/gc.root": "now" });
    await containerd.collect();
    expect(await listed(ctr)).toContain(digest);
    await ctr("content", "label", digest, "containerd.io/gc.root=");
    await containerd.collect();
    expect(await listed(ctr)).not.toContain(digest);
    expect(await digestsIn(plugin.content)).not.toContain(digest);
  });

  test("P-ACC.8, P-CS.7: a partial ingest is seen, and resumed after ctr was killed and containerd restarted", async () => {
    const blob = randomBytes(8 * mebibyte);
    const [digest, ref] = [digestOf(blob), "half of it"];
    const size = ["--expected-size", `${blob.length}`, "--expected-digest", digest];
    const first = spawn("ctr", ["--address", containerd.address, "content", "ingest", ...size, ref]);
    first.stdin.on("error", () => undefined);
    first.stdin.write(blob.subarray(0, 4 * mebibyte));
    expect(await ingestOf(plugin.content, 4 * mebibyte)).toBe(4 * mebibyte);
    await killed(first);
    await containerd.restart();
    expect(await ctr("content", "active")).toMatch(/^half of it\s+4\.194MB/m);
    // Were it read from its beginning, the digest would be another.
    const file = join(directory.path, "other-half");
    await writeFile(file, Buffer.concat([Buffer.alloc(4 * mebibyte), blob.subarray(4 * mebibyte)]));
    await ingest(containerd.address, file, ...size, ref);
    expect(await got(containerd.address, digest)).toBe(digest);
    expect((await recordsOf(ctr)).ingests).toEqual([]);
  });

  test("P-ACC.8: a layer whose pull was killed goes on where it was, and goes with its lease", async () => {
    await using server = await startLargeImageServer(48 * mebibyte);
    await using proxy = await startCuttingProxy(server.host, 80 * mebibyte);
    const fetch = ["content", "fetch", "--plain-http", `${proxy.host}/large/image:v1`];
    const killedAt = async (sent: number): Promise<number> => {
      const child = spawn("ctr", ["--address", containerd.address, ...fetch], { stdio: "ignore" });
      const reached = new Promise<void>((resolve) => proxy.cutAt(proxy.sent + sent, () => resolve()));
      await reached;
      const offset = await ingestOf(plugin.content, mebibyte);
      await killed(child);
      return offset;
    };
    expect(await killedAt(8 * mebibyte)).toBeGreaterThan(mebibyte);
    await dropLeases();
    await containerd.collect();
    expect(await Array.fromAsync(plugin.content.statuses())).toEqual([]);
    const offset = await killedAt(24 * mebibyte);
    await ctr(...fetch.slice(0, 3), `${proxy.host}/large/image:v1`);
    expect(server.starts).toHaveLength(3);
    expect(server.starts[2]).toBeGreaterThanOrEqual(offset);
    expect(await got(containerd.address, server.layer)).toBe(server.layer);
  });

  test("P-CS.9: two namespaces have the same blob, and each its own ingest of one name", async () => {
    const [file, blob] = [join(directory.path, "shared"), randomBytes(mebibyte)];
    await writeFile(file, blob);
    const digest = digestOf(blob);
    const inOther = containerd.ctrIn("other");
    await ingest(containerd.address, file, "one name");
    await bash('ctr --address "$1" --namespace other content ingest "one name" <"$2"', [containerd.address, file]);
    await inOther("content", "label", digest, "containerd.io/gc.root=now");
    expect(await listed(inOther)).toEqual([digest]);
    await ctr("content", "rm", digest);
    expect(await listed(ctr)).not.toContain(digest);
    await containerd.collect();
    expect(await digestsIn(plugin.content)).toContain(digest);
    await inOther("content", "rm", digest);
    await containerd.collect();
    expect(await digestsIn(plugin.content)).not.toContain(digest);
  });

  test("P-ACC.8: when all images and leases are gone, so is all that was stored", async () => {
    await dropLeases();
    for (const name of (await ctr("images", "ls", "--quiet")).trim().split("\n")) await ctr("images", "rm", name);
    await containerd.collect();
    expect(await isEmpty(plugin.content)).toBe(true);
    expect(plugin.failures).toEqual([]);
  });

  async function dropLeases(): Promise<void> {
    const leases = (await ctr("leases", "ls", "--quiet")).split("\n").filter((id) => id !== "");
    for (const id of leases) await ctr("leases", "rm", id);
  }
});

describe.skipIf(missing !== undefined)(`upstream's client on our content service (privileged${why})`, () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: Awaited<ReturnType<typeof serveContainerd>>;
  const content = createMemoryContentStore();
  const blob = randomBytes(2 * mebibyte + 1);
  const digest = digestOf(blob);
  const other = digestOf("other");
  let file: string;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    await mkdir(join(directory.path, "run"));
    file = join(directory.path, "blob");
    await writeFile(file, blob);
    server = await serveContainerd({ address: join(directory.path, "run/content.sock"), content });
  });
  afterAll(async () => {
    await server.close();
    await content.close();
    await directory[Symbol.asyncDispose]();
  });

  const ctr: Ctr = async (...args) => (await exec("ctr", ["--address", server.address, "content", ...args])).stdout;

  test("P-ACC.9: it writes, lists, reads, labels and removes", async () => {
    await ingest(server.address, file, "--expected-size", `${blob.length}`, "--expected-digest", digest, "a");
    expect(await listed((_, ...args) => ctr(...args))).toEqual([digest]);
    expect(await got(server.address, digest)).toBe(digest);
    await ctr("label", digest, "a=b", "c=d");
    await ctr("label", digest, "a=");
    expect((await content.info(digest)).labels).toEqual({ c: "d" });
    expect((await ctr("rm", digest)).trim()).toBe(digest);
    expect(await digestsIn(content)).toEqual([]);
  });

  test("P-ACC.9: it takes a missing blob for missing, which it need not remove", async () => {
    expect(await failing(ctr("get", other))).toBe(`ctr: content ${other}: not found`);
    expect(await failing(ctr("label", other, "a=b"))).toBe(`ctr: content ${other}: not found`);
    expect(await ctr("rm", other)).toBe("");
  });

  test("P-ACC.9: it takes a blob that is stored for success, and what it began is gone", async () => {
    await ingest(server.address, file, "a");
    await ingest(server.address, file, "--expected-digest", digest, "b");
    await ingest(server.address, file, "c");
    expect((await ctr("active")).trim().split("\n")).toHaveLength(1);
  });

  test("P-ACC.9: it takes a wrong digest and a wrong size for a failed precondition, and the bytes stay", async () => {
    const size = String(blob.length - 1);
    expect(await failing(ingest(server.address, file, "--expected-digest", other, "a"))).toBe(
      `ctr: failed commit on ref "a": commit failed: ingest a: digest ${digest}, expected ${other}: failed precondition`,
    );
    expect(await failing(ingest(server.address, file, "--expected-size", size, "b"))).toContain("failed precondition");
    expect(await ctr("active")).toMatch(/^a\s+2\.097MB[^]*^b\s+2\.097MB/m);
  });

  test("P-ACC.9: it waits while another writes the same ref, and goes on with what that has written", async () => {
    const writer = await content.writer("busy");
    await writer.write(Buffer.from("one "));
    const rest = join(directory.path, "rest");
    await writeFile(rest, "???? and two");
    const waiting = ingest(server.address, rest, "--expected-size", "12", "busy");
    await expect.poll(async () => (await content.status("busy")).offset).toBe(4);
    await writer.close();
    await waiting;
    expect(await content.info(digestOf("one  and two"))).toMatchObject({ size: 12 });
  });

  test("P-ACC.9: filters that nobody can read are an invalid argument", async () => {
    expect(await failing(ctr("active", "("))).toContain("invalid argument");
  });
});

async function killed(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** What a program that fails has printed. */
async function failing(call: Promise<unknown>): Promise<string> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "it succeeded";
}
