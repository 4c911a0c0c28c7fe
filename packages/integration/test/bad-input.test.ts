import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { bash, exec, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import type { CommandRun } from "../src/command.ts";
import { unmount } from "../src/faults/disk-image.ts";
import { environment } from "../src/images-under-test.ts";
import { pushTallImage } from "../src/many-images.ts";
import { startTamperingProxy } from "../src/tampering-proxy.ts";
import type { Tamper } from "../src/tampering-proxy.ts";

const { missing } = environment;

async function pull(root: string, reference: string): Promise<CommandRun> {
  return varve(["pull", "--json", "--progress=none", `--root=${root}`, reference]);
}

/** One clear line, nothing on standard output, nothing half done that can be seen. */
async function expectCleanFailure(run: CommandRun, root: string, status: number, line: RegExp): Promise<void> {
  expect(run, run.stderr).toMatchObject({ status, stdout: "" });
  expect(run.stderr).toMatch(line);
  expect(run.stderr.trimEnd().split("\n")).toHaveLength(1);
  const { snapshots } = JSON.parse((await varve(["snapshots", "ls", "--json", `--root=${root}`])).stdout);
  expect(snapshots).toEqual([]);
  const { images } = JSON.parse((await varve(["images", "ls", "--json", `--root=${root}`])).stdout);
  expect(images).toEqual([]);
}

describe.skipIf(missing !== undefined)(`bad input (privileged${missing === undefined ? "" : `: ${missing}`})`, () => {
  test("a host that does not exist is a network error", async () => {
    await using directory = await temporaryDirectory();
    const run = await pull(directory.path, "registry.invalid/app:v1");
    await expectCleanFailure(run, directory.path, 6, /^varve: .*registry\.invalid/);
  });

  test("a port where nobody listens is a network error", async () => {
    await using directory = await temporaryDirectory();
    const run = await pull(directory.path, "127.0.0.1:9/app:v1");
    await expectCleanFailure(run, directory.path, 6, /^varve: .*127\.0\.0\.1:9/);
  });

  test("a tag that does not exist is not found", async () => {
    await using directory = await temporaryDirectory();
    const run = await pull(directory.path, `${environment.registry}/debian:nope`);
    await expectCleanFailure(run, directory.path, 3, /^varve: .*debian.*nope.*not found/i);
  });

  test("what is no reference is a wrong command line, and nothing is asked", async () => {
    await using directory = await temporaryDirectory();
    const run = await pull(directory.path, "localhost:1/UPPER/case");
    expect(run).toMatchObject({ status: 2, stdout: "" });
    expect(run.stderr).toMatch(/UPPER/);
  });

  const lies: readonly (readonly [what: string, how: Tamper, status: number, line: RegExp])[] = [
    ["a layer with other bytes", (body) => body.fill(0, body.length - 2000, body.length - 1000), 5, /digest|gzip/],
    ["a layer that is cut off", (body) => body.subarray(0, body.length / 2), 6, /layer sha256:\w+: failed to fetch/],
    ["a layer that is no gzip at all", (body) => Buffer.alloc(body.length, "x"), 5, /digest/],
  ];
  for (const [what, how, status, line] of lies) {
    test(`${what} is refused, and the second try works`, async () => {
      await pushTallImage(environment.registry, "tampered", 2);
      await using proxy = await startTamperingProxy(environment.registry);
      await using directory = await temporaryDirectory();
      proxy.tamper(how);
      const reference = `${proxy.host}/tampered:latest`;
      await expectCleanFailure(await pull(directory.path, reference), directory.path, status, line);
      proxy.tamper(undefined);
      expect(await pull(directory.path, reference)).toMatchObject({ status: 0 });
    });
  }

  test("no space ends the pull with the reason, and with room the second try works", async () => {
    await using directory = await temporaryDirectory();
    const root = join(directory.path, "store");
    await mkdir(root);
    await exec("mount", ["-t", "tmpfs", "-o", "size=100m", "none", root]);
    try {
      const reference = `${environment.registry}/debian:oci-gzip`;
      await expectCleanFailure(await pull(root, reference), root, 1, /no space left/i);
      await exec("mount", ["-o", "remount,size=600m", root]);
      expect(await pull(root, reference)).toMatchObject({ status: 0 });
    } finally {
      await unmount(root);
    }
  });

  test("a layer that leaves the root is refused by name, and writes nothing outside", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await bash(
      'mkdir "$1/in" "$1/root"; echo evil >"$1/in/x"; cd "$1/in"; tar -cPf "$1/evil.tar" --transform "s,x,etc/.wh...," x',
      [path],
    );
    const run = await varve(["layer", "apply", join(path, "evil.tar"), join(path, "root")]);
    expect(run).toMatchObject({ status: 5, stdout: "" });
    expect(run.stderr).toMatch(/^varve: .*\.wh\.\.\./);
    await bash('test -d "$1/root" && test -d "$1/in"', [path]);
  });

  test("a compressed layer may come from standard input or a file, also several at once", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await bash(
      'mkdir "$1/in" "$1/root"; echo 1 >"$1/in/one"; tar -C "$1/in" -czf "$1/1.tar.gz" one; echo 2 >"$1/in/two"; : >"$1/in/.wh.one"; tar -C "$1/in" --zstd -cf "$1/2.tar.zst" two .wh.one',
      [path],
    );
    const run = await varve([
      "layer",
      "apply",
      join(path, "1.tar.gz"),
      join(path, "2.tar.zst"),
      join(path, "root"),
      "--json",
    ]);
    expect(run, run.stderr).toMatchObject({ status: 0 });
    expect(JSON.parse(run.stdout).layers).toHaveLength(2);
    expect((await exec("ls", ["-A", join(path, "root")])).stdout).toBe("two\n");
  });
});

test("the tampering of these tests does break a gzip", () => {
  const body = gzipSync(Buffer.alloc(1_000_000, "varve"), { level: 0 });
  expect(() => gunzipSync(Buffer.from(body).fill(0, body.length - 2000, body.length - 1000))).toThrow(
    /incorrect data check/,
  );
});
