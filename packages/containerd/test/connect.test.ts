import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import type { HandlerContext } from "@connectrpc/connect";
import { connectContainerd } from "@varve/containerd";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
// What a containerd answers is up to the tests here.
import { Content } from "../src/gen/containerd/services/content/v1/content_pb.js";
import { Version } from "../src/gen/containerd/services/version/v1/version_pb.js";
import { aborted } from "./aborted.ts";
import { failureOf } from "./failure-of.ts";
import { startFake } from "./fake-containerd.ts";
import type { FakeContainerd } from "./fake-containerd.ts";

const version = { version: "1.6.20", revision: "" };

function startVersion(): Promise<FakeContainerd> {
  return startFake((router) => router.service(Version, { version: () => version }));
}

/** Calls of `version` are never answered; `called` resolves when one has come. */
async function startSilent(): Promise<{ fake: FakeContainerd; called: Promise<HandlerContext> }> {
  const { promise: called, resolve } = Promise.withResolvers<HandlerContext>();
  const fake = await startFake((router) =>
    router.service(Version, {
      version: async (_, context) => {
        resolve(context);
        await aborted(context.signal);
        throw new ConnectError("canceled", Code.Canceled);
      },
    }),
  );
  return { fake, called };
}

test.each(["", "a b", "a/b", "-a", "a..b", "ä", "a".repeat(77)])("%j is no namespace", (namespace) => {
  expect(() => connectContainerd({ namespace })).toThrow("is no name for one");
});

test.each(["", "a b", "a\nb", "ä"])("the lease %j cannot be named in a call", async (id) => {
  await using containerd = connectContainerd();
  expect(() => containerd.withLease(id)).toThrow("cannot be named in a call");
});

test("every call names the namespace, and the lease if there is one (6.1)", async () => {
  const seen: (string | null)[][] = [];
  await using fake = await startFake((router) =>
    router.service(Version, {
      version: (_, { requestHeader }) => {
        seen.push(["containerd-namespace", "containerd-lease"].map((name) => requestHeader.get(name)));
        return version;
      },
    }),
  );
  await using containerd = connectContainerd({ address: fake.address, namespace: "k8s.io" });
  expect(await containerd.version()).toBe("1.6.20");
  const leased = containerd.withLease("mine");
  expect([leased.address, leased.namespace]).toEqual([fake.address, "k8s.io"]);
  await leased.version();
  await leased.close();
  await containerd.version();
  expect(seen).toEqual([
    ["k8s.io", null],
    ["k8s.io", "mine"],
    ["k8s.io", null],
  ]);
});

test("where nobody is, calls say so and can be tried again", async () => {
  const directory = await mkdtemp(join(tmpdir(), "varve-connect-"));
  try {
    const file = join(directory, "file");
    await writeFile(file, "");
    const left = join(directory, "left");
    // What a process that was killed leaves.
    const script = `require("node:net").createServer().listen(process.argv[1], () => console.log("ready"))`;
    const dead = spawn(process.execPath, ["-e", script, left], { stdio: ["ignore", "pipe", "inherit"] });
    await once(dead.stdout, "data");
    dead.kill("SIGKILL");
    await once(dead, "exit");
    for (const [address, why] of [
      [join(directory, "missing"), "there is no such socket"],
      [join(file, "below"), "there is no such socket"],
      [file, "nobody answers at the socket"],
      [left, "nobody answers at the socket"],
    ] as const) {
      await using containerd = connectContainerd({ address });
      const expected = { code: "ERR_NETWORK", message: `containerd ${address}: ${why}` };
      await expect(containerd.version()).rejects.toMatchObject(expected);
      await expect(containerd.content.writer("ref")).rejects.toMatchObject(expected);
      await expect(containerd.snapshotter("overlayfs").prepare("key", undefined)).rejects.toMatchObject(expected);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("one that was restarted is connected to again", async () => {
  await using fake = await startVersion();
  await using containerd = connectContainerd({ address: fake.address });
  for (let round = 0; round < 3; round += 1) {
    expect(await containerd.version()).toBe("1.6.20");
    await fake.stop();
    await expect(containerd.version()).rejects.toMatchObject({ code: "ERR_NETWORK" });
    await fake.start();
  }
  expect(await containerd.version()).toBe("1.6.20");
});

test("one that goes in the middle of a call ends it", async () => {
  const { fake, called } = await startSilent();
  await using _ = fake;
  await using containerd = connectContainerd({ address: fake.address });
  const asking = containerd.version();
  await called;
  const ended = failureOf(asking);
  await fake.stop();
  expect(await ended).toMatchObject({
    code: "ERR_NETWORK",
    message: `containerd ${fake.address}: the connection broke off`,
  });
});

test("closing ends what is under way, and everything", async () => {
  const { fake, called } = await startSilent();
  await using _ = fake;
  const containerd = connectContainerd({ address: fake.address });
  const asking = containerd.version();
  await called;
  const ended = failureOf(asking);
  await containerd.close();
  await containerd.close();
  expect(await ended).toMatchObject({ code: "ERR_ABORTED" });
  const closed = { code: "ERR_FAILED_PRECONDITION", message: `containerd ${fake.address}: is closed` };
  await expect(containerd.version()).rejects.toMatchObject(closed);
  await expect(containerd.withLease("mine").version()).rejects.toMatchObject(closed);
  await expect(containerd.content.writer("ref")).rejects.toMatchObject(closed);
  await expect(containerd.content.info(digestOf(""))).rejects.toMatchObject(closed);
});

test("closing before there is a connection ends the call that wants one", async () => {
  await using fake = await startVersion();
  const containerd = connectContainerd({ address: fake.address });
  const ended = failureOf(containerd.version());
  await containerd.close();
  expect(await ended).toMatchObject({ code: "ERR_ABORTED" });
});

test("what only asks is given up with the reason of its signal, and what changes something is not once it is sent", async () => {
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<AbortSignal>();
  const { promise: deleted, resolve: onDelete } = Promise.withResolvers<() => void>();
  await using fake = await startFake((router) =>
    router.service(Content, {
      info: async (_, { signal }) => {
        onAsked(signal);
        await aborted(signal);
        throw new ConnectError("canceled", Code.Canceled);
      },
      delete: async () => {
        await new Promise<void>((answer) => onDelete(answer));
        return {};
      },
    }),
  );
  await using containerd = connectContainerd({ address: fake.address });
  const reason = new Error("enough");
  const controller = new AbortController();
  const { signal } = controller;
  const asking = failureOf(containerd.content.info(digestOf(""), { signal }));
  const deleting = containerd.content.delete(digestOf(""), { signal });
  const [server, answer] = await Promise.all([asked, deleted]);
  controller.abort(reason);
  expect(await asking).toBe(reason);
  await aborted(server);
  answer();
  await deleting;
  await expect(containerd.content.delete(digestOf(""), { signal })).rejects.toBe(reason);
});

test("a message that is too large for containerd is not sent (6.1)", async () => {
  await using fake = await startVersion();
  await using containerd = connectContainerd({ address: fake.address });
  const snapshotter = containerd.snapshotter("overlayfs");
  const call = snapshotter.prepare("x".repeat(17 * 1024 * 1024), undefined);
  await expect(call).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
});

test("an idle connection keeps no process alive", async () => {
  await using fake = await startVersion();
  const script = `
    import { connectContainerd } from "@varve/containerd";
    console.log(await connectContainerd({ address: process.argv[1] }).version());`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", script, fake.address],
    // The package is found by its own name from its own directory.
    { cwd: join(import.meta.dirname, "..") },
  );
  expect(stdout).toBe("1.6.20\n");
});
