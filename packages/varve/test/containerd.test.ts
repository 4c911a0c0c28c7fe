import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ended, start, varve } from "./command.ts";
import { tempDirectory } from "./temp.ts";

const isRoot = process.geteuid?.() === 0;
const nowhere = "/nonexistent/containerd.sock";

test.each(["SIGTERM", "SIGINT"] as const)(
  "varve containerd serve says in one line when it is ready, and ends on %s with nothing left of its socket",
  async (signal) => {
    await using temp = await tempDirectory();
    const address = join(temp.path, "varve.sock");
    const root = join(temp.path, "store");
    const args = ["containerd", "serve", "--address", address, "--root", root, "--snapshotter", "native"];
    const child = start(args);
    let printed = "";
    child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await once(child.stdout, "data");
    expect(await readdir(temp.path)).toContain("varve.sock");
    child.kill(signal);
    await ended(child);
    expect(printed).toBe(`serving content, varve-native of ${root}/containerd on ${address}\n`);
    expect(child.exitCode).toBe(0);
    expect(await readdir(temp.path)).toEqual(["store"]);
  },
);

test("varve containerd serve --json names what it serves, and tells why it leaves a snapshotter out", async () => {
  await using temp = await tempDirectory();
  const [address, root] = [join(temp.path, "varve.sock"), join(temp.path, "store")];
  const before = isRoot ? ["setpriv", "--bounding-set=-sys_admin"] : [];
  const child = start(["containerd", "serve", "--json", "--address", address, "--root", root], { before });
  let notes = "";
  child.stderr.on("data", (chunk: Buffer) => (notes += chunk.toString()));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  child.kill("SIGTERM");
  await ended(child);
  expect(JSON.parse(line.toString())).toEqual({ address, root: `${root}/containerd`, snapshotters: ["varve-native"] });
  expect(notes).toMatch(/^varve-overlay is not served: [^\n]+\n$/);
});

test("varve containerd serve leaves a socket alone on which somebody listens", async () => {
  await using temp = await tempDirectory();
  const args = ["containerd", "serve", "--address", join(temp.path, "varve.sock"), "--snapshotter", "native"];
  const first = start([...args, "--root", join(temp.path, "first")]);
  await once(first.stdout, "data");
  const second = await varve([...args, "--root", join(temp.path, "second")]);
  expect(second).toMatchObject({ code: 1, stdout: "" });
  expect(second.stderr).toMatch(/^varve: [^\n]*varve\.sock[^\n]*\n$/);
  first.kill("SIGTERM");
  await ended(first);
  expect(first.exitCode).toBe(0);
});

test.each([
  [["gc"], "collects by itself"],
  [["check"], "needs a store of varve's own"],
  [["repair"], "needs a store of varve's own"],
  [["df"], "needs a store of varve's own"],
  [["namespaces", "ls"], "namespaces"],
  [["layers", "ls"], "the layer store needs a store of varve's own"],
  [["pull", "--check-space", "127.0.0.1:9/app"], "needs a store of varve's own"],
])("varve --containerd %j is told to be impossible, with 8", async (args, why) => {
  const { code, stderr } = await varve(["--containerd", nowhere, ...args]);
  expect({ code, stderr }).toEqual({
    code: 8,
    stderr: expect.stringMatching(new RegExp(`^varve: containerd ${nowhere}: .*${why}`)),
  });
});

test.each([
  [["--root", "/tmp"], "--root and --containerd"],
  [["--limit", "entries=1"], "--limit and --containerd"],
])("varve pull --containerd with %j is a mistake", async (args, why) => {
  const { code, stderr } = await varve(["--containerd", nowhere, "pull", "127.0.0.1:9/app", ...args]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(why) });
});

test("varve --containerd where nobody listens ends with 6", async () => {
  const { code, stderr } = await varve(["--containerd", nowhere, "images", "ls"]);
  expect({ code, stderr }).toEqual({ code: 6, stderr: expect.stringContaining(nowhere) });
});
