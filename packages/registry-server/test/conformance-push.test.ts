// What the conformance suite of the distribution specification asks of a registry, as rows: pushing.
import { digestOf } from "@varve/digest";
import type { DigestAlgorithm } from "@varve/digest";
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

async function begin(registry: Harness, query = ""): Promise<string> {
  const response = await registry.ask("POST", `a/blobs/uploads/${query}`);
  expect(response.status).toBe(202);
  expect(response.headers.get("location")).toMatch(/^\/v2\/a\/blobs\/uploads\/[\da-f-]{36}$/);
  return below(response);
}

/** What an answer says of a blob, and what is found where it says. */
async function pushed(registry: Harness, created: Response): Promise<object> {
  const got = await registry.ask("GET", below(created));
  return {
    statuses: [created.status, got.status],
    digests: [created.headers.get("docker-content-digest"), got.headers.get("docker-content-digest")],
    text: await got.text(),
  };
}

function outcome(digest: string, bytes: Buffer): object {
  return { statuses: [201, 200], digests: [digest, digest], text: bytes.toString() };
}

/** Where an answer says to go on. */
function below(response: Response): string {
  return (response.headers.get("location") ?? "").replace("/v2/", "");
}

async function patch(registry: Harness, path: string, start: number, end: number): Promise<Response> {
  const headers = { "content-range": `${start}-${end - 1}` };
  return registry.ask("PATCH", path, { body: blob.subarray(start, end), headers });
}

describe.each(stores)("pushing blobs to a store %s", (_, openContent) => {
  describe.each<DigestAlgorithm>(["sha256", "sha512"])("by %s", (algorithm) => {
    const digest = digestOf(blob, algorithm);

    const stored = outcome(digest, blob);

    test("push 1: one POST with the digest stores a blob", async () => {
      await using registry = await startServer({ content: openContent() });
      const created = await registry.ask("POST", `a/blobs/uploads/?digest=${digest}`, { body: blob });
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 2: POST, then PUT with the digest, store a blob", async () => {
      await using registry = await startServer({ content: openContent() });
      const path = await begin(registry, `?digest-algorithm=${algorithm}`);
      const created = await registry.ask("PUT", `${path}?digest=${digest}`, { body: blob });
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 3: one chunk and a PUT without a body store a blob", async () => {
      await using registry = await startServer({ content: openContent() });
      const chunk = await patch(registry, await begin(registry), 0, 3000);
      expect([chunk.status, chunk.headers.get("range")]).toEqual([202, "0-2999"]);
      const created = await registry.ask("PUT", `${below(chunk)}?digest=${digest}`);
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 4: chunks in order, the last one in the PUT, store a blob", async () => {
      await using registry = await startServer({ content: openContent() });
      const first = await patch(registry, await begin(registry), 0, 1000);
      const second = await patch(registry, below(first), 1000, 2000);
      expect(second.headers.get("range")).toBe("0-1999");
      const last = { body: blob.subarray(2000), headers: { "content-range": "2000-2999" } };
      const created = await registry.ask("PUT", `${below(second)}?digest=${digest}`, last);
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 5: a stream without ranges stores a blob", async () => {
      await using registry = await startServer({ content: openContent() });
      const path = await begin(registry);
      const stream = new ReadableStream({
        start(controller) {
          for (let at = 0; at < 3000; at += 500) controller.enqueue(blob.subarray(at, at + 500));
          controller.close();
        },
      });
      const sent = await fetch(`${registry.url}${path}`, { method: "PATCH", body: stream, duplex: "half" });
      expect([sent.status, sent.headers.get("range")]).toEqual([202, "0-2999"]);
      const created = await registry.ask("PUT", `${below(sent)}?digest=${digest}`);
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 6: a chunk out of order is 416, and the upload can be continued from where its status says", async () => {
      await using registry = await startServer({ content: openContent() });
      const path = await begin(registry);
      expect((await patch(registry, path, 1000, 2000)).status).toBe(416);
      const first = await patch(registry, path, 0, 1000);
      const again = await patch(registry, below(first), 0, 1000);
      expect([again.status, again.headers.get("range")]).toEqual([416, "0-999"]);
      const status = await registry.ask("GET", below(first));
      expect([status.status, status.headers.get("range")]).toEqual([204, "0-999"]);
      const late = { body: blob.subarray(2000), headers: { "content-range": "2000-2999" } };
      expect((await registry.ask("PUT", `${below(status)}?digest=${digest}`, late)).status).toBe(416);
      const second = await patch(registry, below(status), 1000, 3000);
      const created = await registry.ask("PUT", `${below(second)}?digest=${digest}`);
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 7: bytes of another digest are 400, in every way to send them", async () => {
      await using registry = await startServer({ content: openContent() });
      const wrong = digestOf("something else", algorithm);
      const answers = [await registry.ask("POST", `a/blobs/uploads/?digest=${wrong}`, { body: blob })];
      answers.push(await registry.ask("PUT", `${await begin(registry)}?digest=${wrong}`, { body: blob }));
      const chunk = await patch(registry, await begin(registry), 0, 3000);
      answers.push(await registry.ask("PUT", `${below(chunk)}?digest=${wrong}`));
      const part = await patch(registry, await begin(registry), 0, 1000);
      answers.push(await registry.ask("PUT", `${below(part)}?digest=${wrong}`, { body: blob.subarray(1000) }));
      for (const answer of answers) expect([answer.status, await codeOf(answer)]).toEqual([400, "DIGEST_INVALID"]);
      expect((await registry.ask("HEAD", `a/blobs/${wrong}`)).status).toBe(404);
      expect([registry.content.blobs.size, registry.content.ingests.size]).toEqual([0, 0]);
    });

    test("push 8: a mount from a repository that has the blob needs no upload", async () => {
      await using registry = await startServer({ content: openContent() });
      await registry.ask("POST", `b/blobs/uploads/?digest=${digest}`, { body: blob });
      expect((await registry.ask("HEAD", `a/blobs/${digest}`)).status).toBe(404);
      const created = await registry.ask("POST", `a/blobs/uploads/?mount=${digest}&from=b`);
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 9: a mount that does not say from where takes any repository", async () => {
      await using registry = await startServer({ content: openContent() });
      await registry.ask("POST", `b/blobs/uploads/?digest=${digest}`, { body: blob });
      const created = await registry.ask("POST", `a/blobs/uploads/?mount=${digest}`);
      expect(await pushed(registry, created)).toEqual(stored);
    });

    test("push 10: a mount of what the other repository does not have begins an upload", async () => {
      await using registry = await startServer({ content: openContent() });
      await registry.ask("POST", `c/blobs/uploads/?digest=${digest}`, { body: blob });
      for (const query of [`mount=${digest}&from=b`, `mount=${digest}&from=../c`, `mount=sha256:12&from=c`]) {
        const answer = await registry.ask("POST", `a/blobs/uploads/?${query}`);
        expect(answer.status).toBe(202);
        expect((await registry.ask("GET", below(answer))).status).toBe(204);
      }
    });

    test("push 11: an upload that is cancelled is gone", async () => {
      await using registry = await startServer({ content: openContent() });
      const chunk = await patch(registry, await begin(registry), 0, 1000);
      expect((await registry.ask("DELETE", below(chunk))).status).toBe(204);
      for (const method of ["GET", "PATCH", "DELETE"]) {
        const answer = await registry.ask(method, below(chunk));
        expect([answer.status, await codeOf(answer)]).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
      }
      expect(registry.content.ingests.size).toBe(0);
    });

    test.each(["", "{}"])("push 12: the blob «%s» is stored like any other", async (text) => {
      await using registry = await startServer({ content: openContent() });
      const body = Buffer.from(text);
      const query = `?digest=${digestOf(body, algorithm)}`;
      const created = await registry.ask("PUT", `${await begin(registry)}${query}`, { body });
      expect(await pushed(registry, created)).toEqual(outcome(digestOf(body, algorithm), body));
    });
  });

  test("push 13: digests that are malformed or of an unknown algorithm are 400", async () => {
    await using registry = await startServer({ content: openContent() });
    const path = await begin(registry);
    for (const [method, target] of [
      ["PUT", `${path}?digest=sha256:baddigeststring`],
      ["PUT", path],
      ["POST", `a/blobs/uploads/?digest=md5:${"0".repeat(32)}`],
      ["POST", "a/blobs/uploads/?digest-algorithm=md5"],
    ] as const) {
      const answer = await registry.ask(method, target, { body: "x" });
      expect([target, answer.status, await codeOf(answer)]).toEqual([target, 400, "DIGEST_INVALID"]);
    }
    expect((await registry.ask("GET", path)).status).toBe(204);
  });

  test("push 14: a chunk whose lengths differ is refused, and so is a malformed range", async () => {
    await using registry = await startServer({ content: openContent() });
    const path = await begin(registry);
    for (const [range, code] of [
      ["0-9", "SIZE_INVALID"],
      ["5-2", "SIZE_INVALID"],
      ["bytes=0-4", "BLOB_UPLOAD_INVALID"],
    ] as const) {
      const answer = await registry.ask("PATCH", path, { body: "12345", headers: { "content-range": range } });
      expect([range, answer.status, await codeOf(answer)]).toEqual([range, 400, code]);
    }
    expect((await registry.ask("GET", path)).headers.get("range")).toBe("0-0");
  });
});

async function push(registry: Harness, target: string, body: Buffer, type = manifestType): Promise<Response> {
  return registry.ask("PUT", `a/manifests/${target}`, { body, headers: { "content-type": type } });
}

async function image(registry: Harness): Promise<Buffer> {
  const config = await registry.pushBlob("a", emptyConfig);
  return manifestOf(config, [await registry.pushBlob("a", blob)]);
}

describe.each(stores)("pushing manifests to a store %s", (_, openContent) => {
  test("push 15: manifests are put by tag and by digest, and are found where the answer says", async () => {
    await using registry = await startServer({ content: openContent() });
    const body = await image(registry);
    const long = digestOf(body, "sha512");
    for (const [target, digest] of [
      ["v1", digestOf(body)],
      [digestOf(body), digestOf(body)],
      [long, long],
    ] as const) {
      const put = await push(registry, target, body);
      expect([put.status, put.headers.get("docker-content-digest")]).toEqual([201, digest]);
      expect(put.headers.get("location")).toBe(`/v2/a/manifests/${digest}`);
      const got = await registry.ask("GET", below(put));
      expect(got.headers.get("content-type")).toBe(manifestType);
      expect(Buffer.from(await got.arrayBuffer())).toEqual(body);
    }
  });

  test("push 16: indexes of manifests, of indexes, of nothing, and of what is not here yet, are accepted", async () => {
    await using registry = await startServer({ content: openContent() });
    const manifest = await registry.pushManifest("a", await image(registry));
    const inner = indexOf([manifest]);
    const nested = indexOf([digestOf(inner)]);
    for (const [tag, body] of [
      ["index", inner],
      ["nested", nested],
      ["empty", indexOf([])],
      ["sparse", indexOf([manifest, digestOf("missing")])],
    ] as const) {
      expect([tag, (await push(registry, tag, body, indexType)).status]).toEqual([tag, 201]);
      const got = await registry.ask("GET", `a/manifests/${tag}`);
      expect(Buffer.from(await got.arrayBuffer())).toEqual(body);
    }
  });

  test("push 17: artifacts, unknown fields, inline data and a manifest of almost 4 MB are stored byte for byte", async () => {
    await using registry = await startServer({ content: openContent() });
    await registry.pushBlob("a", emptyConfig);
    const data = { mediaType: "text/plain", digest: digestOf(emptyConfig), size: 2, data: "e30=" };
    for (const fields of [
      { artifactType: "application/vnd.example.thing" },
      { "org.example.unknown": { number: 1.5 } },
      { layers: [data] },
      { annotations: { large: "A".repeat(3_900_000) } },
    ]) {
      const body = artifactOf(fields);
      expect((await push(registry, digestOf(body), body)).status).toBe(201);
      const got = await registry.ask("GET", `a/manifests/${digestOf(body)}`);
      expect(Buffer.from(await got.arrayBuffer()).equals(body)).toBe(true);
    }
  });

  test("push 18: a subject need not be here, and the answer names it", async () => {
    await using registry = await startServer({ content: openContent() });
    await registry.pushBlob("a", emptyConfig);
    const subject = digestOf("not here");
    const put = await push(
      registry,
      "v1",
      artifactOf({ subject: { mediaType: manifestType, digest: subject, size: 1 } }),
    );
    expect([put.status, put.headers.get("oci-subject")]).toEqual([201, subject]);
    expect((await push(registry, "v2", artifactOf({}))).headers.get("oci-subject")).toBeNull();
  });

  test("push 19: ten tags in one request are all made, and the answer names them", async () => {
    await using registry = await startServer({ content: openContent() });
    const body = await image(registry);
    const tags = Array.from({ length: 10 }, (_unused, index) => `t${index}`);
    const query = tags.map((tag) => `tag=${tag}`).join("&");
    const put = await push(registry, `${digestOf(body, "sha512")}?${query}`, body);
    expect([put.status, put.headers.get("oci-tag")]).toEqual([201, tags.join(", ")]);
    for (const tag of tags) {
      const head = await registry.ask("HEAD", `a/manifests/${tag}`);
      expect(head.headers.get("docker-content-digest")).toBe(digestOf(body, "sha512"));
    }
    const many = Array.from({ length: 101 }, (_unused, index) => `tag=t${index}`).join("&");
    expect((await push(registry, `${digestOf(body)}?${many}`, body)).status).toBe(400);
  });

  test("push 20: manifests that are not what they say are 400", async () => {
    await using registry = await startServer({ content: openContent() });
    const body = await image(registry);
    const text = body.toString();
    const answers = [
      [await push(registry, digestOf(body), Buffer.from(`${text}  `)), "DIGEST_INVALID"],
      [await push(registry, "sha256:baddigeststring", body), "DIGEST_INVALID"],
      [await push(registry, "v1", body, indexType), "MANIFEST_INVALID"],
      [await push(registry, "v1", Buffer.from(text.slice(0, -1))), "MANIFEST_INVALID"],
      [await push(registry, "v1", Buffer.from("[]")), "MANIFEST_INVALID"],
      [
        await push(registry, "v1", Buffer.from(text.replace('"layers"', '"manifests":[],"layers"'))),
        "MANIFEST_INVALID",
      ],
      [await push(registry, "v1", artifactOf({ subject: { digest: "sha256:12" } })), "MANIFEST_INVALID"],
      [await push(registry, "v1", artifactOf({ subject: "text" })), "MANIFEST_INVALID"],
    ] as const;
    for (const [answer, code] of answers) expect([answer.status, await codeOf(answer)]).toEqual([400, code]);
    expect((await registry.ask("HEAD", "a/manifests/v1")).status).toBe(404);
  });

  test("push 21: a manifest may only name what its repository has", async () => {
    await using registry = await startServer({ content: openContent() });
    const foreign = await registry.pushBlob("b", blob);
    const config = await registry.pushBlob("a", emptyConfig);
    const answer = await push(registry, "v1", manifestOf(config, [foreign]));
    expect([answer.status, await codeOf(answer)]).toEqual([404, "MANIFEST_BLOB_UNKNOWN"]);
  });

  test("push 22: parameters of the Content-Type are ignored", async () => {
    await using registry = await startServer({ content: openContent() });
    const put = await push(registry, "v1", await image(registry), `${manifestType}; charset=utf-8`);
    expect(put.status).toBe(201);
    expect((await registry.ask("HEAD", "a/manifests/v1")).headers.get("content-type")).toBe(manifestType);
  });

  test("push 23: a tag moves only if the conditions of the request are true", async () => {
    await using registry = await startServer({ content: openContent() });
    const first = await image(registry);
    const second = artifactOf({ artifactType: "a/b" });
    const put = (body: Buffer, headers: Record<string, string>): Promise<Response> =>
      registry.ask("PUT", "a/manifests/v1", { body, headers: { "content-type": manifestType, ...headers } });
    expect((await put(first, { "if-match": "*" })).status).toBe(412);
    expect((await put(first, { "if-none-match": "*" })).status).toBe(201);
    const refused = await put(second, { "if-none-match": "*" });
    expect([refused.status, await codeOf(refused)]).toEqual([412, "DENIED"]);
    expect((await put(second, { "if-match": `"${digestOf(second)}"` })).status).toBe(412);
    const etag = (await registry.ask("HEAD", "a/manifests/v1")).headers.get("etag") ?? "";
    expect((await put(second, { "if-match": `"other", ${etag}` })).status).toBe(201);
    expect((await registry.ask("HEAD", "a/manifests/v1")).headers.get("docker-content-digest")).toBe(digestOf(second));
  });
});
