import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { ErrorCode } from "@varve/errors";
import { createMemoryTagStore } from "@varve/registry-server";
import { describe, expect, test } from "vitest";
import { fakeContent } from "./fake-content.ts";
import type { FakeUpstream } from "./fake-upstream.ts";
import { artifactOf, codeOf, emptyConfig, indexOf, manifestType, startServer } from "./harness.ts";
import { fetches, layer, layerDigest, readSome, scene, until } from "./mirror-scene.ts";

describe("a mirror", () => {
  test("sends the first bytes before the last ones have come", async () => {
    const { upstream } = scene();
    upstream.pauseAfter = 1000;
    await using registry = await startServer({ upstream });
    const got = await registry.ask("GET", `a/blobs/${layerDigest}`);
    const reader = got.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    expect(await readSome(reader, 1000)).toBe(layer.subarray(0, 1000).toString());
    expect(registry.content.blobs.has(layerDigest)).toBe(false);
    upstream.release();
    expect(await readSome(reader, 4000)).toBe(layer.subarray(1000).toString());
  });

  test("gives the last byte only when all of them are verified", async () => {
    const { upstream } = scene();
    upstream.blobs.set(layerDigest, Buffer.from("9".repeat(5000)));
    upstream.pauseAfter = 5000;
    await using registry = await startServer({ upstream });
    const got = await registry.ask("GET", `a/blobs/${layerDigest}`);
    const reader = got.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    expect(await readSome(reader, 4999)).toHaveLength(4999);
    upstream.release();
    await expect(readSome(reader, 1)).rejects.toThrow(/terminated/);
  });

  test("keeps a slow upstream's blob for others when one client leaves", async () => {
    const { upstream } = scene();
    upstream.pauseAfter = 1000;
    await using registry = await startServer({ upstream });
    const gone = new AbortController();
    const left = fetch(`${registry.url}a/blobs/${layerDigest}`, { signal: gone.signal }).then((got) => got.text());
    const stayed = registry.ask("GET", `a/blobs/${layerDigest}`).then((got) => got.text());
    await until(() => upstream.asked.length === 3);
    gone.abort();
    await expect(left).rejects.toThrow(/aborted/);
    await until(() => registry.records.length === 1);
    upstream.release();
    expect(await stayed).toBe(layer.toString());
    expect(fetches(upstream)).toHaveLength(1);
  });

  test("HEAD asks, and fetches no blob", async () => {
    const { upstream } = scene();
    await using registry = await startServer({ upstream });
    const head = await registry.ask("HEAD", `a/blobs/${layerDigest}`);
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "5000"]);
    expect(fetches(upstream)).toEqual([]);
  });

  test("asks what a tag stands for each time, and follows it", async () => {
    const { upstream, digest } = scene();
    await using registry = await startServer({ upstream });
    const ask = async (): Promise<string | null> =>
      (await registry.ask("HEAD", "a/manifests/v1")).headers.get("docker-content-digest");
    expect(await ask()).toBe(digest);
    const next = upstream.put(artifactOf({}));
    upstream.tagged.set("a:v1", next);
    expect(await ask()).toBe(next);
  });

  test("shows no tag that its upstream does not have, and takes none away", async () => {
    const { upstream } = scene();
    const tags = createMemoryTagStore();
    const target = { mediaType: manifestType, digest: digestOf("built here"), size: 10 };
    await tags.put("a", "mine", target);
    await using registry = await startServer({ upstream, tags });
    expect((await registry.ask("GET", "a/manifests/mine")).status).toBe(404);
    expect(await tags.get("a", "mine")).toEqual(target);
  });

  test("asks again only after the time that is set", async () => {
    const { upstream, digest } = scene();
    await using registry = await startServer({ upstream, upstreamTagMaxAge: 60_000 });
    await registry.ask("HEAD", "a/manifests/v1");
    upstream.tagged.set("a:v1", upstream.put(artifactOf({})));
    const head = await registry.ask("HEAD", "a/manifests/v1");
    expect(head.headers.get("docker-content-digest")).toBe(digest);
    expect(upstream.asked.filter((what) => what.startsWith("resolve"))).toHaveLength(1);
  });

  test("serves what it has when its upstream is out of reach, also after a restart", async () => {
    const { upstream, digest } = scene();
    const [content, tags] = [fakeContent(), createMemoryTagStore()];
    {
      await using registry = await startServer({ upstream, content, tags });
      await registry.ask("GET", "a/manifests/v1");
      await (await registry.ask("GET", `a/blobs/${layerDigest}`)).text();
    }
    upstream.failure = "ERR_NETWORK";
    await using registry = await startServer({ upstream, content, tags });
    for (const path of ["a/manifests/v1", `a/manifests/${digest}`, `a/blobs/${layerDigest}`]) {
      expect([path, (await registry.ask("GET", path)).status]).toEqual([path, 200]);
    }
    expect(await (await registry.ask("GET", "a/tags/list")).json()).toEqual({ name: "a", tags: ["v1"] });
    expect((await registry.ask("GET", `a/blobs/${digestOf(emptyConfig)}`)).status).toBe(502);
  });

  // docker-registry answers 500 where a blob is asked for as a manifest.
  test("asks for blobs as blobs, and for manifests as manifests, each once", async () => {
    const { upstream, digest } = scene();
    await using registry = await startServer({ upstream });
    for (let round = 0; round < 2; round += 1) {
      await (await registry.ask("GET", `a/manifests/${digest}`)).text();
      await (await registry.ask("GET", `a/blobs/${layerDigest}`)).text();
    }
    expect(upstream.asked.filter((what) => !what.startsWith("fetch"))).toEqual([
      `manifest a@${digest}`,
      `blob a@${layerDigest}`,
    ]);
  });

  // A manifest may name what its repository does not have.
  test("shows nothing that the upstream's repository does not have, whatever a manifest names", async () => {
    const { upstream } = scene();
    const [content, tags] = [fakeContent(), createMemoryTagStore()];
    await using registry = await startServer({ upstream, content, tags });
    const lure = artifactOf({ layers: [{ mediaType: "a/b", digest: layerDigest, size: layer.byteLength }] });
    upstream.tagged.set("evil:v1", upstream.put(lure));
    await (await registry.ask("GET", `a/blobs/${layerDigest}`)).text();
    expect((await registry.ask("GET", "evil/manifests/v1")).status).toBe(200);
    upstream.blobs.delete(layerDigest);
    for (const method of ["GET", "HEAD"]) {
      expect((await registry.ask(method, `evil/blobs/${layerDigest}`)).status).toBe(404);
    }
    expect((await registry.ask("GET", `a/blobs/${layerDigest}`)).status).toBe(200);
  });

  test.each(["while it is fetched for", "when a part of it is left from"])(
    "shows nothing %s a repository that has it to one that only names it",
    async (when) => {
      const { upstream } = scene();
      const lure = artifactOf({ layers: [{ mediaType: "a/b", digest: layerDigest, size: layer.byteLength }] });
      upstream.tagged.set("evil:v1", upstream.put(lure));
      upstream.hidden.add(`evil@${layerDigest}`);
      upstream.pauseAfter = 2000;
      await using registry = await startServer({ upstream });
      await registry.ask("GET", "evil/manifests/v1");
      const gone = new AbortController();
      const good = fetch(`${registry.url}a/blobs/${layerDigest}`, { signal: gone.signal }).then((got) => got.text());
      await until(() => [...registry.content.ingests.values()].flat().length === 20);
      const isLeft = when.startsWith("when");
      if (isLeft) {
        gone.abort();
        await good.catch(() => undefined);
        await until(() => upstream.running === 0);
      }
      const answer = await registry.ask("GET", `evil/blobs/${layerDigest}`);
      expect([answer.status, await codeOf(answer)]).toEqual([404, "BLOB_UNKNOWN"]);
      upstream.release();
      const rest = isLeft ? (await registry.ask("GET", `a/blobs/${layerDigest}`)).text() : good;
      expect(await rest).toBe(layer.toString());
    },
  );

  test("asks the upstream before it shows another repository what it keeps", async () => {
    const { upstream } = scene();
    await using registry = await startServer({ upstream });
    await (await registry.ask("GET", `a/blobs/${layerDigest}`)).text();
    await (await registry.ask("GET", `b/blobs/${layerDigest}`)).text();
    expect(upstream.asked.slice(2)).toEqual([`blob b@${layerDigest}`]);
    upstream.blobs.delete(layerDigest);
    expect((await registry.ask("GET", `c/blobs/${layerDigest}`)).status).toBe(404);
    expect((await registry.ask("GET", `a/blobs/${layerDigest}`)).status).toBe(200);
  });

  test.each<[ErrorCode, number, string]>([
    ["ERR_NETWORK", 502, "UNKNOWN"],
    ["ERR_INVALID_DATA", 502, "UNKNOWN"],
    ["ERR_UNAUTHENTICATED", 403, "DENIED"],
    ["ERR_PERMISSION_DENIED", 403, "DENIED"],
    ["ERR_RATE_LIMITED", 429, "TOOMANYREQUESTS"],
    ["ERR_NOT_FOUND", 404, "NAME_UNKNOWN"],
  ])("tells %s as %i, with none of its words, and records it", async (failure, status, code) => {
    const { upstream } = scene();
    upstream.failure = failure;
    await using registry = await startServer({ upstream });
    const answer = await registry.ask("GET", `a/blobs/${layerDigest}`);
    expect([answer.status, await codeOf(answer)]).toEqual([status, code]);
    expect(registry.records[0]?.error).toMatchObject({ code: failure });
  });

  test("refuses manifests that are too large, of another digest, or none", async () => {
    const { upstream } = scene();
    const large = upstream.put(artifactOf({ annotations: { a: "A".repeat(2000) } }));
    const text = upstream.put(Buffer.from("text"));
    const lie = upstream.put(artifactOf({ artifactType: "a/b" }));
    upstream.blobs.set(lie, artifactOf({ artifactType: "c/d" }));
    await using registry = await startServer({ upstream, maxManifestSize: 1000 });
    const ask = async (digest: Digest): Promise<number> => (await registry.ask("GET", `a/manifests/${digest}`)).status;
    expect([await ask(large), await ask(text), await ask(lie)]).toEqual([404, 404, 502]);
    expect(registry.content.blobs.size).toBe(0);
  });

  test("keeps no blobs that are larger than is allowed", async () => {
    const { upstream } = scene();
    await using registry = await startServer({ upstream, maxBlobSize: 4999 });
    const answer = await registry.ask("GET", `a/blobs/${layerDigest}`);
    expect([answer.status, await codeOf(answer)]).toEqual([403, "DENIED"]);
  });

  test("takes no pushes and deletes nothing", async () => {
    const { upstream } = scene();
    await using registry = await startServer({ upstream });
    for (const [method, path] of [
      ["POST", "a/blobs/uploads/"],
      ["PUT", "a/manifests/v1"],
      ["DELETE", "a/manifests/v1"],
      ["DELETE", `a/blobs/${layerDigest}`],
    ] as const) {
      const answer = await registry.ask(method, path);
      expect([answer.status, await codeOf(answer)]).toEqual([405, "UNSUPPORTED"]);
    }
    expect(upstream.asked).toEqual([]);
  });

  test("lists tags and referrers of its upstream", async () => {
    const { upstream, digest } = scene();
    upstream.tagged.set("a:v0", digest);
    upstream.referring.push(
      { mediaType: manifestType, digest: digestOf("1"), size: 1, artifactType: "a/b" },
      { mediaType: manifestType, digest: digestOf("2"), size: 2, artifactType: "c/d" },
    );
    await using registry = await startServer({ upstream });
    expect(await (await registry.ask("GET", "a/tags/list?n=1")).json()).toEqual({ name: "a", tags: ["v0"] });
    const all = await registry.ask("GET", `a/referrers/${digest}`);
    expect(await all.json()).toMatchObject({ manifests: upstream.referring });
    const some = await registry.ask("GET", `a/referrers/${digest}?artifactType=c/d`);
    expect(some.headers.get("oci-filters-applied")).toBe("artifactType");
    expect(await some.json()).toMatchObject({ manifests: [{ digest: digestOf("2") }] });
    // Clients then look at the fallback tag.
    upstream.failure = "ERR_NOT_IMPLEMENTED";
    expect((await registry.ask("GET", `a/referrers/${digest}`)).status).toBe(404);
  });

  test("refuses lists that are too long to be held, and shows no part of them", async () => {
    const { upstream, digest } = scene();
    const annotations = { a: "A".repeat(1024 * 1024) };
    for (let count = 0; count < 9; count += 1) {
      upstream.referring.push({ mediaType: manifestType, digest: digestOf(`${count}`), size: 1, annotations });
    }
    await using registry = await startServer({ upstream });
    expect((await registry.ask("GET", `a/referrers/${digest}`)).status).toBe(502);
  });

  // T4
  test("of several registries keeps them apart by the name that clients take it for, and refuses others", async () => {
    const { upstream: one } = scene();
    const { upstream: two } = scene();
    const other = two.put(indexOf([]));
    two.tagged.set("a:v1", other);
    const upstreams: Readonly<Record<string, FakeUpstream>> = { "one.example": one, "two.example:5000": two };
    const tags = createMemoryTagStore();
    await using registry = await startServer({ tags, upstream: (ns) => upstreams[ns ?? ""] });
    const first = await registry.ask("GET", "a/manifests/v1?ns=one.example");
    const second = await registry.ask("GET", "a/manifests/v1?ns=two.example:5000");
    expect([first.status, first.headers.get("oci-namespace")]).toEqual([200, "one.example"]);
    expect(second.headers.get("docker-content-digest")).toBe(other);
    expect((await tags.repositories()).toSorted()).toEqual(["one.example/a", "two.example:5000/a"]);
    for (const path of ["a/manifests/v1", "a/manifests/v1?ns=three.example", "a/manifests/v1?ns=one.example/x"]) {
      const answer = await registry.ask("GET", path);
      expect([answer.status, await codeOf(answer)]).toEqual([404, "NAME_UNKNOWN"]);
    }
  });
});
