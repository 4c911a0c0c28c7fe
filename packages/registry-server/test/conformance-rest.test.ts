// What the conformance suite of the distribution specification asks of a registry, as rows: pulling, discovery, management.
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { createMemoryTagStore } from "@varve/registry-server";
import { describe, expect, test } from "vitest";
import { fakeContent, plainContent } from "./fake-content.ts";
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
import type { Harness } from "./harness.ts";

const stores = [
  ["with labels", fakeContent],
  ["without labels", plainContent],
] as const;
const blob = Buffer.from("0123456789".repeat(300));

async function pushImage(
  registry: Harness,
  tag?: string,
): Promise<{ readonly layer: Digest; readonly manifest: Digest }> {
  const config = await registry.pushBlob("a", emptyConfig);
  const layer = await registry.pushBlob("a", blob);
  return { layer, manifest: await registry.pushManifest("a", manifestOf(config, [layer]), tag) };
}

/** How a list of referrers shows a manifest. */
function entry(body: Buffer, fields: object): object {
  return { digest: digestOf(body), size: body.byteLength, ...fields };
}

function subjectField(digest: Digest): object {
  return { subject: { mediaType: manifestType, digest, size: 1 } };
}

describe.each(stores)("pulling from a store %s", (_, openContent) => {
  test("pull 1: GET and HEAD of the root say that the API is there", async () => {
    await using registry = await startServer({ content: openContent() });
    for (const method of ["GET", "HEAD"]) expect((await registry.ask(method, "")).status).toBe(200);
  });

  test("pull 2: what is not there is 404, by GET and HEAD, in repositories that are there and others", async () => {
    await using registry = await startServer({ content: openContent() });
    const { layer } = await pushImage(registry, "v1");
    for (const [path, code] of [
      ["a/manifests/missing", "MANIFEST_UNKNOWN"],
      [`a/manifests/${digestOf("x")}`, "MANIFEST_UNKNOWN"],
      [`a/manifests/${layer}`, "MANIFEST_UNKNOWN"],
      [`a/blobs/${digestOf("x")}`, "BLOB_UNKNOWN"],
      ["nobody/manifests/v1", "MANIFEST_UNKNOWN"],
      [`nobody/blobs/${layer}`, "BLOB_UNKNOWN"],
    ] as const) {
      const got = await registry.ask("GET", path);
      expect([path, got.status, await codeOf(got)]).toEqual([path, 404, code]);
      const head = await registry.ask("HEAD", path);
      expect([head.status, await head.text()]).toEqual([404, ""]);
    }
  });

  test("pull 3: a malformed digest is 400", async () => {
    await using registry = await startServer({ content: openContent() });
    for (const path of ["a/manifests/sha256:baddigeststring", "a/blobs/sha256:baddigeststring"]) {
      const got = await registry.ask("GET", path);
      expect([got.status, await codeOf(got)]).toEqual([400, "DIGEST_INVALID"]);
    }
  });

  test("pull 4: GET and HEAD of manifests and blobs agree on digest, length and type", async () => {
    await using registry = await startServer({ content: openContent() });
    const { layer, manifest } = await pushImage(registry, "v1");
    for (const [path, digest] of [
      ["a/manifests/v1", manifest],
      [`a/manifests/${manifest}`, manifest],
      [`a/blobs/${layer}`, layer],
      [`a/blobs/${manifest}`, manifest],
    ] as const) {
      const got = await registry.ask("GET", path, { headers: { accept: "text/plain" } });
      const head = await registry.ask("HEAD", path);
      expect([got.status, head.status]).toEqual([200, 200]);
      expect(got.headers.get("docker-content-digest")).toBe(digest);
      for (const name of ["docker-content-digest", "content-length", "content-type", "etag"]) {
        expect([name, head.headers.get(name)]).toEqual([name, got.headers.get(name)]);
      }
      expect(digestOf(Buffer.from(await got.arrayBuffer()))).toBe(digest);
      expect(await head.text()).toBe("");
    }
  });

  // The suite of the specification wants 416 of a range that is upside down.
  test.each([
    ["500-1499", 206, 500, 1500],
    ["500-", 206, 500, 3000],
    ["-500", 206, 2500, 3000],
    ["2900-5000", 206, 2900, 3000],
    ["-5000", 206, 0, 3000],
    ["0-0", 206, 0, 1],
    ["500-0", 416, 0, 0],
    ["5000-10000", 416, 0, 0],
    ["3000-", 416, 0, 0],
    ["0-1,5-6", 200, 0, 3000],
    ["abc", 200, 0, 3000],
    ["--1", 200, 0, 3000],
  ])("pull 5: the range %s is answered with %i", async (range, status, start, end) => {
    await using registry = await startServer({ content: openContent() });
    const { layer } = await pushImage(registry);
    const got = await registry.ask("GET", `a/blobs/${layer}`, { headers: { range: `bytes=${range}` } });
    expect(got.status).toBe(status);
    const contentRange = { 200: null, 206: `bytes ${start}-${end - 1}/3000`, 416: "bytes */3000" }[status];
    expect(got.headers.get("content-range")).toBe(contentRange);
    const body = status === 416 ? "" : blob.subarray(start, end).toString();
    expect(status === 416 ? await codeOf(got) : await got.text()).toBe(status === 416 ? "SIZE_INVALID" : body);
  });

  test("pull 6: a range of something else than the client has is everything, and HEAD knows no ranges", async () => {
    await using registry = await startServer({ content: openContent() });
    const { layer } = await pushImage(registry);
    const ask = (method: string, ifRange: string): Promise<Response> =>
      registry.ask(method, `a/blobs/${layer}`, { headers: { range: "bytes=0-9", "if-range": ifRange } });
    expect((await ask("GET", `"${layer}"`)).status).toBe(206);
    expect((await ask("GET", '"other"')).status).toBe(200);
    const head = await ask("HEAD", `"${layer}"`);
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "3000"]);
  });

  test("pull 7: what the client has already is 304, without a body", async () => {
    await using registry = await startServer({ content: openContent() });
    const { layer, manifest } = await pushImage(registry, "v1");
    for (const [path, digest] of [
      ["a/manifests/v1", manifest],
      [`a/blobs/${layer}`, layer],
    ] as const) {
      for (const condition of [`"${digest}"`, `"x", W/"${digest}"`, "*"]) {
        const got = await registry.ask("GET", path, { headers: { "if-none-match": condition } });
        expect([condition, got.status, await got.text()]).toEqual([condition, 304, ""]);
        expect(got.headers.get("docker-content-digest")).toBe(digest);
      }
      expect((await registry.ask("GET", path, { headers: { "if-none-match": '"x"' } })).status).toBe(200);
    }
  });
});

describe.each(stores)("discovery in a store %s", (_, openContent) => {
  test("discovery 1: tags are in order, by pages of n, after last, and n=0 is an empty list without a link", async () => {
    await using registry = await startServer({ content: openContent() });
    for (const tag of ["b", "a", "c", "B"]) await pushImage(registry, tag);
    const ask = async (query: string): Promise<[unknown, string | null]> => {
      const got = await registry.ask("GET", `a/tags/list${query}`);
      return [await got.json(), got.headers.get("link")];
    };
    expect(await ask("")).toEqual([{ name: "a", tags: ["B", "a", "b", "c"] }, null]);
    expect(await ask("?n=2")).toEqual([{ name: "a", tags: ["B", "a"] }, '</v2/a/tags/list?n=2&last=a>; rel="next"']);
    expect(await ask("?n=2&last=a")).toEqual([{ name: "a", tags: ["b", "c"] }, null]);
    expect(await ask("?last=b")).toEqual([{ name: "a", tags: ["c"] }, null]);
    expect(await ask("?n=0")).toEqual([{ name: "a", tags: [] }, null]);
    expect(await ask("?last=zzz")).toEqual([{ name: "a", tags: [] }, null]);
  });

  test("discovery 2: the tags of an unknown repository are 404", async () => {
    await using registry = await startServer({ content: openContent() });
    const got = await registry.ask("GET", "a/tags/list");
    expect([got.status, await codeOf(got)]).toEqual([404, "NAME_UNKNOWN"]);
  });

  test("discovery 3: the referrers of what nobody refers to are an empty index, and a malformed digest is 400", async () => {
    await using registry = await startServer({ content: openContent() });
    const got = await registry.ask("GET", `a/referrers/${digestOf("nothing")}`);
    expect([got.status, got.headers.get("content-type")]).toEqual([200, indexType]);
    expect(await got.json()).toEqual({ schemaVersion: 2, mediaType: indexType, manifests: [] });
    expect((await registry.ask("GET", "a/referrers/sha256:12")).status).toBe(400);
  });

  test("discovery 4: referrers have type, digest, size, artifact type and annotations, also before their subject", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry);
    const subject = subjectField(manifest);
    const annotations = { "org.example": "hello" };
    const typed = artifactOf({ ...subject, artifactType: "application/x", annotations });
    const untyped = artifactOf(subject);
    const index = indexOf([], { ...subject, annotations });
    for (const body of [typed, untyped, index]) await registry.pushManifest("a", body);
    const got = await registry.ask("GET", `a/referrers/${manifest}`);
    const wanted = [
      entry(typed, { mediaType: manifestType, artifactType: "application/x", annotations }),
      entry(untyped, { mediaType: manifestType, artifactType: "application/vnd.oci.empty.v1+json" }),
      entry(index, { mediaType: indexType, annotations }),
    ];
    const { manifests } = (await got.json()) as { readonly manifests: unknown };
    expect(manifests).toHaveLength(3);
    expect(manifests).toEqual(expect.arrayContaining(wanted));
  });

  test("discovery 5: referrers are filtered by artifact type, and the answer says so", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry);
    for (const artifactType of ["a/x", "a/y"]) {
      await registry.pushManifest("a", artifactOf({ ...subjectField(manifest), artifactType }));
    }
    const got = await registry.ask("GET", `a/referrers/${manifest}?artifactType=${encodeURIComponent("a/x")}`);
    expect(got.headers.get("oci-filters-applied")).toBe("artifactType");
    expect(await got.json()).toMatchObject({ manifests: [{ artifactType: "a/x" }] });
    const all = await registry.ask("GET", `a/referrers/${manifest}`);
    expect(all.headers.get("oci-filters-applied")).toBeNull();
  });

  test("discovery 6: a long list of referrers comes in pages, each entry once", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry);
    const annotations = { large: "A".repeat(1_500_000) };
    const pushed: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      const body = artifactOf({ ...subjectField(manifest), annotations: { ...annotations, count: String(count) } });
      pushed.push(await registry.pushManifest("a", body));
    }
    const found: string[] = [];
    let path: string | undefined = `a/referrers/${manifest}?artifactType=application%2Fvnd.oci.empty.v1%2Bjson`;
    let pages = 0;
    while (path !== undefined) {
      const got: Response = await registry.ask("GET", path);
      const text = await got.text();
      expect(text.length).toBeLessThan(5_000_000);
      for (const [, digest] of text.matchAll(/"digest":"(sha256:\w+)"/g)) found.push(digest ?? "");
      path = /^<\/v2\/(.*)>; rel="next"$/.exec(got.headers.get("link") ?? "")?.[1];
      pages += 1;
    }
    expect(pages).toBe(3);
    expect(found).toEqual(pushed.toSorted());
  });

  test("discovery 10: a page is read from no more than some bytes of manifests, whatever is shown of them", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry);
    for (let count = 0; count < 6; count += 1) {
      const annotations = { large: "A".repeat(7_500_000), count: String(count) };
      await registry.pushManifest("a", artifactOf({ ...subjectField(manifest), annotations }));
    }
    const found: number[] = [];
    let path: string | undefined = `a/referrers/${manifest}?artifactType=of%2Fnone`;
    while (path !== undefined) {
      const got: Response = await registry.ask("GET", path);
      found.push(((await got.json()) as { readonly manifests: readonly unknown[] }).manifests.length);
      path = /^<\/v2\/(.*)>; rel="next"$/.exec(got.headers.get("link") ?? "")?.[1];
    }
    expect(found).toEqual([0, 0]);
  });

  test("discovery 7: what clients wrote under the fallback tag is listed too, once", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry);
    const body = artifactOf(subjectField(manifest));
    const referrer = await registry.pushManifest("a", body);
    const other = await registry.pushManifest("a", artifactOf({ artifactType: "no/subject" }));
    await registry.pushManifest("a", indexOf([referrer, other]), manifest.replace(":", "-"));
    const got = await registry.ask("GET", `a/referrers/${manifest}`);
    const { manifests } = (await got.json()) as { readonly manifests: readonly unknown[] };
    expect(manifests).toMatchObject([{ digest: referrer }]);
  });

  test("discovery 9: what came past the server under the fallback tag is listed too", async () => {
    const [content, tags] = [openContent(), createMemoryTagStore()];
    await using registry = await startServer({ content, tags });
    const body = artifactOf(subjectField(digestOf("subject")));
    const index = indexOf([digestOf(body)]);
    for (const bytes of [body, index]) content.blobs.set(digestOf(bytes), bytes);
    const target = { mediaType: indexType, digest: digestOf(index), size: index.byteLength };
    await tags.put("a", digestOf("subject").replace(":", "-"), target);
    const got = await registry.ask("GET", `a/referrers/${digestOf("subject")}`);
    expect(await got.json()).toMatchObject({ manifests: [{ digest: digestOf(body) }] });
  });

  test("discovery 8: referrers are those of the repository", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry);
    await registry.pushBlob("b", emptyConfig);
    await registry.pushManifest("b", artifactOf(subjectField(manifest)));
    expect(await (await registry.ask("GET", `a/referrers/${manifest}`)).json()).toMatchObject({ manifests: [] });
    const inB = await (await registry.ask("GET", `b/referrers/${manifest}`)).json();
    expect(inB).toMatchObject({ manifests: [{ mediaType: manifestType }] });
  });
});

describe.each(stores)("management of a store %s", (_, openContent) => {
  test("management 1: a tag that is deleted is gone at once, and its manifest stays", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry, "v1");
    expect((await registry.ask("DELETE", "a/manifests/v1")).status).toBe(202);
    expect((await registry.ask("HEAD", "a/manifests/v1")).status).toBe(404);
    expect((await registry.ask("HEAD", `a/manifests/${manifest}`)).status).toBe(200);
    expect((await registry.ask("DELETE", "a/manifests/v1")).status).toBe(404);
  });

  test("management 2: a manifest that is deleted is gone with all its tags, and from the referrers", async () => {
    await using registry = await startServer({ content: openContent() });
    const { manifest } = await pushImage(registry, "v1");
    const referrer = await registry.pushManifest("a", artifactOf(subjectField(manifest)), "r");
    expect((await registry.ask("DELETE", `a/manifests/${referrer}`)).status).toBe(202);
    for (const path of ["a/manifests/r", `a/manifests/${referrer}`]) {
      expect((await registry.ask("HEAD", path)).status).toBe(404);
    }
    expect(await (await registry.ask("GET", `a/referrers/${manifest}`)).json()).toMatchObject({ manifests: [] });
    expect((await registry.ask("DELETE", `a/manifests/${referrer}`)).status).toBe(404);
    expect((await registry.ask("HEAD", "a/manifests/v1")).status).toBe(200);
  });

  test("management 3: a blob that is deleted is gone from its repository, and from no other", async () => {
    await using registry = await startServer({ content: openContent() });
    const digest = await registry.pushBlob("a", blob);
    await registry.pushBlob("b", blob);
    expect((await registry.ask("DELETE", `a/blobs/${digest}`)).status).toBe(202);
    expect((await registry.ask("HEAD", `a/blobs/${digest}`)).status).toBe(404);
    expect((await registry.ask("DELETE", `a/blobs/${digest}`)).status).toBe(404);
    expect((await registry.ask("HEAD", `b/blobs/${digest}`)).status).toBe(200);
    await registry.pushBlob("a", blob);
    expect((await registry.ask("HEAD", `a/blobs/${digest}`)).status).toBe(200);
  });

  test("management 4: what a tag of the repository needs cannot be deleted", async () => {
    await using registry = await startServer({ content: openContent() });
    const { layer, manifest } = await pushImage(registry);
    await registry.pushManifest("a", indexOf([manifest]), "v1");
    for (const path of [`a/blobs/${layer}`, `a/blobs/${manifest}`, `a/manifests/${manifest}`]) {
      const answer = await registry.ask("DELETE", path);
      expect([path, answer.status, await codeOf(answer)]).toEqual([path, 405, "UNSUPPORTED"]);
      expect((await registry.ask("HEAD", path)).status).toBe(200);
    }
    await registry.ask("DELETE", "a/manifests/v1");
    for (const path of [`a/manifests/${manifest}`, `a/blobs/${layer}`]) {
      expect((await registry.ask("DELETE", path)).status).toBe(202);
    }
  });

  test("management 5: a registry that keeps everything deletes nothing, but lets uploads be cancelled", async () => {
    await using registry = await startServer({ content: openContent(), keepAll: true });
    const { layer, manifest } = await pushImage(registry, "v1");
    for (const path of ["a/manifests/v1", `a/manifests/${manifest}`, `a/blobs/${layer}`]) {
      const answer = await registry.ask("DELETE", path);
      expect([answer.status, await codeOf(answer)]).toEqual([405, "UNSUPPORTED"]);
    }
    const upload = await registry.ask("POST", "a/blobs/uploads/");
    const path = (upload.headers.get("location") ?? "").replace("/v2/", "");
    expect((await registry.ask("DELETE", path)).status).toBe(204);
    expect((await registry.ask("HEAD", "a/manifests/v1")).status).toBe(200);
  });

  test("management 6: bytes of the store are never deleted: they may have other users", async () => {
    await using registry = await startServer({ content: openContent() });
    const digest = await registry.pushBlob("a", blob);
    await registry.ask("DELETE", `a/blobs/${digest}`);
    expect(registry.content.blobs.has(digest)).toBe(true);
  });
});
