import { digestOf } from "@varve/digest";
import { describe, expect, test } from "vitest";
import { fakeContent, plainContent } from "./fake-content.ts";
import { manifestType, startServer } from "./harness.ts";
import { fetches, layer, layerDigest, scene, until } from "./mirror-scene.ts";

describe.each([
  ["that can be followed", fakeContent],
  ["that cannot", plainContent],
] as const)("a mirror over a store %s", (_, openContent) => {
  test("what is not here is fetched once, kept, and served byte for byte", async () => {
    const { upstream, manifest, digest } = scene();
    await using registry = await startServer({ upstream, content: openContent() });
    for (let round = 0; round < 2; round += 1) {
      for (const reference of ["v1", digest]) {
        const got = await registry.ask("GET", `a/manifests/${reference}`);
        expect([got.status, got.headers.get("content-type")]).toEqual([200, manifestType]);
        expect(got.headers.get("docker-content-digest")).toBe(digest);
        expect(Buffer.from(await got.arrayBuffer())).toEqual(manifest);
      }
      const got = await registry.ask("GET", `a/blobs/${layerDigest}`);
      expect([got.status, got.headers.get("content-length")]).toEqual([200, "5000"]);
      expect(Buffer.from(await got.arrayBuffer())).toEqual(layer);
    }
    expect(fetches(upstream)).toEqual([`fetch a@${digest} from 0`, `fetch a@${layerDigest} from 0`]);
    expect(registry.content.ingests.size).toBe(0);
    // It is the repository's own by now.
    upstream.failure = "ERR_NETWORK";
    expect((await registry.ask("GET", `a/blobs/${layerDigest}`)).status).toBe(200);
  });

  test("clients of several repositories who want the same blob at once share one fetch, and all keep it", async () => {
    const { upstream } = scene();
    upstream.pauseAfter = 1000;
    await using registry = await startServer({ upstream, content: openContent() });
    const answers = ["a", "b"].map(async (name) => (await registry.ask("GET", `${name}/blobs/${layerDigest}`)).text());
    await until(() => upstream.asked.length === 3 && upstream.running === 1);
    upstream.release();
    expect(await Promise.all(answers)).toEqual([layer.toString(), layer.toString()]);
    upstream.failure = "ERR_NETWORK";
    for (const name of ["a", "b"]) {
      expect((await registry.ask("GET", `${name}/blobs/${layerDigest}`)).status).toBe(200);
    }
  });

  test("clients who want the same blob at once share one fetch", async () => {
    const { upstream } = scene();
    upstream.pauseAfter = 1000;
    await using registry = await startServer({ upstream, content: openContent() });
    const answers = Array.from({ length: 5 }, async () =>
      (await registry.ask("GET", `a/blobs/${layerDigest}`)).arrayBuffer(),
    );
    await until(() => upstream.asked.filter((what) => what.startsWith("blob")).length === 5 && upstream.running === 1);
    upstream.release();
    for (const answer of await Promise.all(answers)) expect(Buffer.from(answer)).toEqual(layer);
    expect(fetches(upstream)).toHaveLength(1);
  });

  test("bytes of another digest are never served whole, and nothing of them is kept", async () => {
    const { upstream } = scene();
    upstream.blobs.set(layerDigest, Buffer.from("9".repeat(5000)));
    await using registry = await startServer({ upstream, content: openContent() });
    for (const headers of [{}, { range: "bytes=0-9" }]) {
      const read = registry.ask("GET", `a/blobs/${layerDigest}`, { headers }).then(async (answer) => {
        if (answer.status < 300) await answer.arrayBuffer();
        throw new Error(`terminated with ${answer.status}`);
      });
      await expect(read).rejects.toThrow(/^(?:fetch failed|terminated|terminated with 502)$/);
    }
    expect([registry.content.blobs.size, registry.content.ingests.size]).toEqual([0, 0]);
    await until(() => registry.records.length === 2);
    expect(registry.records[0]?.error).toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
    upstream.blobs.set(layerDigest, layer);
    expect(await (await registry.ask("GET", `a/blobs/${layerDigest}`)).text()).toBe(layer.toString());
  });

  test("a part of a blob is the part, and the whole of it is kept", async () => {
    const { upstream } = scene();
    await using registry = await startServer({ upstream, content: openContent() });
    const got = await registry.ask("GET", `a/blobs/${layerDigest}`, { headers: { range: "bytes=1095-2104" } });
    expect([got.status, got.headers.get("content-range")]).toEqual([206, "bytes 1095-2104/5000"]);
    expect(await got.text()).toBe(layer.subarray(1095, 2105).toString());
    expect(registry.content.blobs.get(layerDigest)).toEqual(layer);
  });

  test("when the last client has gone the fetch ends, and the next one continues it", async () => {
    const { upstream } = scene();
    upstream.pauseAfter = 2000;
    await using registry = await startServer({ upstream, content: openContent() });
    const gone = new AbortController();
    const read = fetch(`${registry.url}a/blobs/${layerDigest}`, { signal: gone.signal }).then((got) => got.text());
    await until(() => [...registry.content.ingests.values()].flat().length === 20);
    gone.abort();
    await expect(read).rejects.toThrow(/aborted/);
    await until(() => upstream.running === 0);
    upstream.release();
    expect(await (await registry.ask("GET", `a/blobs/${layerDigest}`)).text()).toBe(layer.toString());
    expect(fetches(upstream)).toEqual([`fetch a@${layerDigest} from 0`, `fetch a@${layerDigest} from 2000`]);
  });

  test.each([Buffer.of(), Buffer.from("x")])("a blob of %o is fetched like any other", async (bytes) => {
    const { upstream } = scene();
    await using registry = await startServer({ upstream, content: openContent() });
    const got = await registry.ask("GET", `a/blobs/${upstream.put(bytes)}`);
    expect([got.status, await got.text()]).toEqual([200, bytes.toString()]);
    expect(registry.content.blobs.get(digestOf(bytes))).toEqual(bytes);
  });

  test("closing ends fetches", async () => {
    const { upstream } = scene();
    upstream.pauseAfter = 1000;
    const registry = await startServer({ upstream, content: openContent() });
    const read = registry.ask("GET", `a/blobs/${layerDigest}`).then((got) => got.text());
    await until(() => upstream.running === 1);
    await registry.server.close();
    expect(upstream.running).toBe(0);
    await expect(read).rejects.toThrow(/fetch failed|terminated/);
  });
});
