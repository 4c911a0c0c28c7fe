import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { createMemoryTagStore } from "@varve/registry-server";
import type { Authenticate } from "@varve/registry-server";
import { describe, expect, test } from "vitest";
import { fakeContent, plainContent } from "./fake-content.ts";
import type { FakeContent } from "./fake-content.ts";
import {
  artifactOf,
  codeOf,
  emptyConfig,
  indexOf,
  indexType,
  manifestOf,
  manifestType,
  startServer,
} from "./harness.ts";

const blob = Buffer.from("a secret layer");
const everybody: Authenticate = async () => "allow";
const onlyAdminReadsTheirs: Authenticate = async ({ repository, authorization, action }) =>
  authorization === "admin" || repository !== "theirs" || action === "push" ? "allow" : "deny";
const nobodyReadsExample: Authenticate = async ({ repository }) =>
  repository === "registry.example/x" ? "deny" : "allow";

/** Puts bytes into a store past every server, as a pull does. */
function put(content: FakeContent, bytes: Buffer): Digest {
  const digest = digestOf(bytes);
  content.blobs.set(digest, bytes);
  return digest;
}

/** An image in an index, tagged `v1` in `pulled`, that no server has seen. */
async function pulled(): Promise<{
  readonly content: FakeContent;
  readonly tags: ReturnType<typeof createMemoryTagStore>;
  readonly all: readonly Digest[];
  readonly index: Buffer;
  readonly manifest: Buffer;
}> {
  const content = fakeContent();
  const tags = createMemoryTagStore();
  const manifest = manifestOf(put(content, emptyConfig), [put(content, blob)]);
  const index = indexOf([put(content, manifest), digestOf("another platform")]);
  const target = { mediaType: indexType, digest: put(content, index), size: index.byteLength };
  await tags.put("pulled", "v1", target);
  return { content, tags, manifest, index, all: [emptyConfig, blob, manifest, index].map((bytes) => digestOf(bytes)) };
}

describe("what a repository has", () => {
  test("a blob that is stored is not shown in a repository that does not have it", async () => {
    await using registry = await startServer();
    const digest = await registry.pushBlob("a", blob);
    const unseen = put(registry.content, Buffer.from("pulled by somebody"));
    for (const path of [`b/blobs/${digest}`, `b/manifests/${digest}`, `a/blobs/${unseen}`]) {
      expect([path, (await registry.ask("GET", path)).status]).toEqual([path, 404]);
    }
  });

  test("everything that a tag leads to is there, though it was never pushed", async () => {
    const { content, tags, all } = await pulled();
    await using registry = await startServer({ content, tags, authenticate: everybody });
    for (const digest of all) {
      expect((await registry.ask("GET", `pulled/blobs/${digest}`)).status).toBe(200);
      expect((await registry.ask("GET", `other/blobs/${digest}`)).status).toBe(404);
    }
    await tags.delete("pulled", "v1");
    for (const digest of all) expect((await registry.ask("GET", `pulled/blobs/${digest}`)).status).toBe(404);
  });

  test("what a tag led to stays with the manifests that were pushed when it moves on", async () => {
    const { content, tags, all, manifest } = await pulled();
    await using registry = await startServer({ content, tags, authenticate: everybody });
    const names = indexOf([digestOf(manifest)], { annotations: { edition: "second" } });
    await registry.pushManifest("pulled", names, "v1");
    for (const digest of all.slice(0, 3)) {
      expect((await registry.ask("GET", `pulled/blobs/${digest}`)).status).toBe(200);
    }
  });

  test("it survives the server where the store has labels, with its referrers", async () => {
    const content = fakeContent();
    const tags = createMemoryTagStore();
    let digest: Digest;
    const subject = { mediaType: manifestType, digest: digestOf("subject"), size: 7 };
    {
      await using registry = await startServer({ content, tags });
      digest = await registry.pushBlob("a", blob);
      await registry.pushBlob("a", emptyConfig);
      await registry.pushManifest("a", artifactOf({ subject }));
    }
    await using again = await startServer({ content, tags });
    expect((await again.ask("HEAD", `a/blobs/${digest}`)).status).toBe(200);
    expect((await again.ask("HEAD", `b/blobs/${digest}`)).status).toBe(404);
    const referrers = await again.ask("GET", `a/referrers/${subject.digest}`);
    expect(await referrers.json()).toMatchObject({ manifests: [{ mediaType: manifestType }] });
  });

  test("what is new gets its labels with its commit, in one step", async () => {
    const content = fakeContent();
    content.label = async () => Promise.reject(new Error("a second step"));
    await using registry = await startServer({ content });
    const config = await registry.pushBlob("a", emptyConfig);
    const body = manifestOf(config, []);
    const answer = await registry.ask("PUT", "a/manifests/v1", { body, headers: { "content-type": manifestType } });
    expect(answer.status).toBe(201);
  });

  test("no more repositories can have a blob than its labels have room for", async () => {
    await using registry = await startServer();
    const digest = await registry.pushBlob("a", blob);
    const labels = Object.fromEntries(Array.from({ length: 20_001 }, (_, index) => [`label ${index}`, ""]));
    registry.content.labels.set(digest, { ...registry.content.labels.get(digest), ...labels });
    const answer = await registry.ask("POST", `b/blobs/uploads/?mount=${digest}`);
    expect([answer.status, await codeOf(answer)]).toEqual([403, "DENIED"]);
    expect((await registry.ask("POST", `a/blobs/uploads/?mount=${digest}`)).status).toBe(201);
  });

  test("without labels only tags and what they lead to survive", async () => {
    const content = plainContent();
    const tags = createMemoryTagStore();
    let digest: Digest;
    {
      await using registry = await startServer({ content, tags });
      digest = await registry.pushBlob("a", blob);
      const config = await registry.pushBlob("a", emptyConfig);
      await registry.pushManifest("a", manifestOf(config, []), "v1");
    }
    await using again = await startServer({ content, tags });
    expect((await again.ask("HEAD", `a/blobs/${digest}`)).status).toBe(404);
    expect((await again.ask("HEAD", `a/blobs/${digestOf(emptyConfig)}`)).status).toBe(200);
  });
});

// Whoever may push to one repository must not read others by naming their blobs.
describe("a manifest that names what its author does not have", () => {
  const secret = digestOf(blob);
  const lures: readonly [string, Buffer][] = [
    ["an index that may be sparse", indexOf([secret])],
    [
      "a layer that is kept elsewhere",
      artifactOf({ layers: [{ mediaType: "a/b", digest: secret, size: 1, urls: ["https://registry.example/x"] }] }),
    ],
    ["a subject", artifactOf({ subject: { mediaType: manifestType, digest: secret, size: 1 } })],
  ];

  test.each(lures)("%s does not show it", async (_, lure) => {
    const [content, tags] = [fakeContent(), createMemoryTagStore()];
    await using registry = await startServer({ content, tags, authenticate: everybody });
    await registry.pushBlob("mine", emptyConfig);
    await registry.pushManifest("mine", lure, "v1");
    // Before and after it is there.
    expect((await registry.ask("GET", `mine/blobs/${secret}`)).status).toBe(404);
    await registry.pushBlob("theirs", blob);
    expect((await registry.ask("GET", `mine/blobs/${secret}`)).status).toBe(404);
    await using again = await startServer({ content, tags, authenticate: everybody });
    expect((await again.ask("GET", `mine/blobs/${secret}`)).status).toBe(404);
  });

  test.each(lures)("%s does not show it after a restart over a store without labels", async (_, lure) => {
    const [content, tags] = [plainContent(), createMemoryTagStore()];
    {
      await using registry = await startServer({ content, tags, authenticate: everybody });
      await registry.pushBlob("mine", emptyConfig);
      await registry.pushManifest("mine", lure, "v1");
      await registry.pushBlob("theirs", blob);
    }
    await using again = await startServer({ content, tags, authenticate: everybody });
    expect((await again.ask("GET", "mine/manifests/v1")).status).toBe(200);
    expect((await again.ask("GET", `mine/blobs/${secret}`)).status).toBe(404);
  });
});

test("a mount needs the right to read where the blob is", async () => {
  await using registry = await startServer({ authenticate: onlyAdminReadsTheirs });
  const headers = { authorization: "admin" };
  const digest = digestOf(blob);
  await registry.ask("POST", `theirs/blobs/uploads/?digest=${digest}`, { body: blob, headers });
  for (const query of [`mount=${digest}&from=theirs`, `mount=${digest}`]) {
    expect((await registry.ask("POST", `mine/blobs/uploads/?${query}`)).status).toBe(202);
    expect((await registry.ask("HEAD", `mine/blobs/${digest}`)).status).toBe(404);
  }
  const allowed = await registry.ask("POST", `mine/blobs/uploads/?mount=${digest}&from=theirs`, { headers });
  expect(allowed.status).toBe(201);
});

test("the name that a mirror is asked by needs the same rights as when it is written out", async () => {
  const tags = createMemoryTagStore();
  await using registry = await startServer({ authenticate: nobodyReadsExample, tags });
  await registry.pushBlob("x", emptyConfig);
  const body = artifactOf({});
  await registry.pushManifest("x", body, "open");
  await tags.put("registry.example/x", "closed", { mediaType: manifestType, digest: digestOf(body), size: 1 });
  expect((await registry.ask("GET", "x/manifests/closed?ns=registry.example")).status).toBe(404);
  expect((await registry.ask("GET", "x/manifests/open?ns=registry.example")).status).toBe(200);
  const written = await registry.ask("GET", "registry.example/x/manifests/closed");
  expect([written.status, await codeOf(written)]).toEqual([403, "DENIED"]);
});
