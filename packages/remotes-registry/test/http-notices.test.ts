import { describe, expect, test } from "vitest";
import type { RegistryExchange, RegistryNotice } from "@varve/remotes-registry";
// A table of 30 forms; a server for each would only hide them.
import { parseWarning } from "../src/http/warning.ts";
import { fakeRegistry, send, sendBlob } from "./fake-registry.ts";
import type { FakeRegistry, Script } from "./fake-registry.ts";
import { blob, blobPath, errorOf, fetchLayer, sendManifest, target, testResolver } from "./fixtures.ts";

// C-RES.12, U-RES.9, T5
describe("a Warning header", () => {
  test.each([
    ['299 - "message"', "message"],
    ['299 - "quoted \\"text\\" inside"', 'quoted "text" inside'],
    ['299 - "path\\\\to\\\\file"', "path\\to\\file"],
    ['299 - "escaped\\\ttab"', "escaped\ttab"],
    ['299 - "escaped\\ space"', "escaped space"],
    ['299 - "tab\there"', "tab\there"],
    ['299 - "caf\u00e9"', "café"],
    ['299 - "\u00c3\u00a9l\u00c3\u00a8ve"', "élève"],
    ['299 - "already decoded: \u20ac"', "already decoded: €"],
    ['299 - "test\\\u0080value"', "test\u0080value"],
    ['299 - "hello%20world"', "hello world"],
    ['299 - "100%25 complete"', "100% complete"],
    ['299 - "100%ZZ invalid"', "100%ZZ invalid"],
    ['299 - "trailing%2"', "trailing%2"],
    ['299 - ""', ""],
    ['299 - "blanks behind"  ', "blanks behind"],
  ])("of the form %j says %j", (header, text) => {
    expect(parseWarning(header)).toBe(text);
  });

  test.each([
    'foobar 299 - "prefixed message"',
    '199 - "another code"',
    '2990 - "another code"',
    '299 registry.example "another agent"',
    '299 "no agent"',
    '299 - "bad\\\u0000text"',
    '299 - "bad\\\ntext"',
    '299 - "bad\\\u007ftext"',
    '299 - "bad\u0000text"',
    '299 - "bad\u0007text"',
    '299 - "bad\u007ftext"',
    '299 - "bad\ntext"',
    '299 - "say %22hello%22"',
    '299 - "inject%0aline"',
    '299 - "inject%0dline"',
    '299 - "inject%00byte"',
    '299 - "hidden%5cbackslash"',
    '299 - "warn text" extra data',
    '299 - "warn text" "extra data"',
    '299 - "warn text" "Sat, 25 Aug 2012 23:34:45 GMT"',
    '299 - "incomplete',
    '299 - warn text"',
    '299 - "trailing\\"',
    "299 - ",
    "",
  ])("of the form %j says nothing", (header) => {
    expect(parseWarning(header)).toBeUndefined();
  });
});

interface Listening extends AsyncDisposable {
  readonly registry: FakeRegistry;
  readonly notices: RegistryNotice[];
  resolve(): Promise<unknown>;
  fetch(): Promise<Buffer>;
}

async function listen(script: Script, options: Parameters<typeof testResolver>[0] = {}): Promise<Listening> {
  const notices: RegistryNotice[] = [];
  const registry = await fakeRegistry(script);
  const resolver = testResolver({ onNotice: (notice) => notices.push(notice), ...options });
  return {
    registry,
    notices,
    resolve: async () => (await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor,
    fetch: () => fetchLayer(resolver, registry.host),
    async [Symbol.asyncDispose]() {
      await resolver.close();
      await registry[Symbol.asyncDispose]();
    },
  };
}

const echo: Script = (seen, response) => {
  sendManifest(seen, response, { warning: `299 - "you said ${String(seen.headers.authorization)}"` });
};

// T5, C-RES.12
describe("warnings", () => {
  const withToken = { credentials: async () => ({ registryToken: "planted-secret-notice" }) };

  test("are told once for each text and host, of manifests and blobs, whatever the status", async () => {
    let status = 404;
    const warning = ['299 - "deprecated"', '299 - "deprecated"', '199 - "not ours"', '299 - "tag\\" [31m"'];
    const script: Script = (seen, response) => {
      if (seen.path === blobPath) send(response, status, { warning }, blob);
      else sendManifest(seen, response, { warning: '299 - "of a manifest"' });
    };
    await using one = await listen(script);
    expect(await errorOf(one.fetch())).toMatchObject({ code: "ERR_NOT_FOUND" });
    status = 200;
    await one.fetch();
    await one.resolve();
    const { host } = one.registry;
    expect(one.notices).toEqual([
      { type: "warning", host, text: "deprecated" },
      { type: "warning", host, text: 'tag" [31m' },
      { type: "warning", host, text: "of a manifest" },
    ]);
  });

  test("of a host that is redirected to are nobody's", async () => {
    await using storage = await fakeRegistry((seen, response) => {
      response.setHeader("warning", '299 - "buy more"');
      response.setHeader("ratelimit-limit", "1;w=1");
      sendBlob(seen, response, blob);
    });
    await using one = await listen((_seen, response) => send(response, 307, { location: storage.url }));
    expect(await one.fetch()).toEqual(blob);
    expect(one.notices).toEqual([]);
  });

  test("of more than 4096 bytes in one answer are not read", async () => {
    const warning = [`299 - "${"a".repeat(3000)}"`, `299 - "${"b".repeat(3000)}"`];
    await using one = await listen((seen, response) => {
      response.setHeader("warning", warning);
      sendManifest(seen, response);
    });
    await one.resolve();
    expect(one.notices).toEqual([{ type: "warning", host: one.registry.host, text: "a".repeat(3000) }]);
  });

  test("that never end are not listened to for ever", async () => {
    let count = 0;
    await using one = await listen((seen, response) => {
      response.setHeader(
        "warning",
        Array.from({ length: 30 }, () => `299 - "number ${(count += 1)}"`),
      );
      sendManifest(seen, response);
    });
    for (let round = 0; round < 10; round += 1) await one.resolve();
    expect(count).toBe(300);
    expect(one.notices).toHaveLength(64);
  });

  // A14
  test("do not repeat our secrets", async () => {
    await using one = await listen(echo, withToken);
    await one.resolve();
    expect(one.notices).toEqual([{ type: "warning", host: one.registry.host, text: "you said Bearer …" }]);
  });
});

// T1
describe("rate limits", () => {
  test("are told whenever they change", async () => {
    const remaining = ["100;w=21600", "99;w=21600", "99;w=21600"];
    await using one = await listen((seen, response) => {
      sendManifest(seen, response, {
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": remaining.shift() ?? "",
      });
    });
    for (let round = 0; round < 3; round += 1) await one.resolve();
    const { host } = one.registry;
    expect(one.notices).toEqual([
      { type: "rate-limit", host, limit: 100, remaining: 100, windowSeconds: 21_600 },
      { type: "rate-limit", host, limit: 100, remaining: 99, windowSeconds: 21_600 },
    ]);
  });

  test.each([
    [{ "ratelimit-limit": "5" }, { limit: 5, remaining: undefined, windowSeconds: undefined }],
    [{ "ratelimit-remaining": "3;x=1; w=60" }, { limit: undefined, remaining: 3, windowSeconds: 60 }],
    [
      { "ratelimit-remaining": "many", "ratelimit-limit": "7;w=1" },
      { limit: 7, remaining: undefined, windowSeconds: 1 },
    ],
  ] as [Record<string, string>, object][])("of %j are told as far as they can be read", async (headers, told) => {
    await using one = await listen((seen, response) => sendManifest(seen, response, headers));
    await one.resolve();
    expect(one.notices).toEqual([{ type: "rate-limit", host: one.registry.host, ...told }]);
  });

  test.each(["", "-1", "1e9", "99999999999", "10;w", "10 20"])("of %j are none", async (header) => {
    await using one = await listen((seen, response) => sendManifest(seen, response, { "ratelimit-limit": header }));
    await one.resolve();
    expect(one.notices).toEqual([]);
  });
});

// T2, U-RES.5
test("each repetition is told, with its reason and its delay", async () => {
  await using one = await listen(
    (seen, response) => {
      if (one.registry.seen.length === 1) send(response, 503, { "retry-after": "0", connection: "close" });
      else if (one.registry.seen.length === 2) seen.socket.destroy();
      else sendManifest(seen, response);
    },
    { retryDelay: 4 },
  );
  expect(await one.resolve()).toEqual(target);
  const { host } = one.registry;
  const delayMs = expect.any(Number);
  expect(one.notices).toEqual([
    { type: "retry", host, attempt: 1, delayMs, reason: "503 Service Unavailable" },
    { type: "retry", host, attempt: 2, delayMs, reason: expect.stringContaining(`registry ${host}: connection`) },
  ]);
});

// A14, cli.md --http-trace
describe("the trace", () => {
  const secret = "planted-secret-trace";

  test("shows each exchange, and of secrets only that they were there", async () => {
    const exchanges: RegistryExchange[] = [];
    await using storage = await fakeRegistry((_seen, response) => {
      response.setHeader("set-cookie", `session=${secret}`);
      response.setHeader("x-amz-id-2", secret);
      send(response, 404, { "content-type": "application/xml", server: `echo ${secret}` });
    });
    await using registry = await fakeRegistry((_seen, response) => {
      const location = storage.url.replace("//", `//ann:${secret}@`);
      response.setHeader("link", `</v2/x?token=${secret}>; rel="next"`);
      const challenge = `Bearer realm="${storage.url}/token?key=${secret}",service="s",scope="a:b:c",nonce="${secret}"`;
      response.setHeader("www-authenticate", ["Basic", challenge]);
      send(response, 307, { location: `${location}/bucket?X-Amz-Signature=${secret}`, [`x-${secret}`]: "1" });
    });
    await using resolver = testResolver({
      credentials: async () => ({ registryToken: secret }),
      headers: { "X-Api-Key": secret, Cookie: secret },
      onExchange: (exchange) => exchanges.push(exchange),
    });
    const failure = await errorOf(fetchLayer(resolver, registry.host));
    expect(failure).toMatchObject({ code: "ERR_NOT_FOUND" });
    expect(exchanges).toMatchObject([
      {
        method: "GET",
        url: `${registry.url}${blobPath}`,
        status: 307,
        requestHeaders: {
          authorization: "…",
          cookie: "…",
          "x-api-key": "…",
          "user-agent": expect.stringMatching(/^varve/),
        },
        responseHeaders: {
          location: `${storage.url}/bucket?…`,
          link: '</v2/x?…>; rel="next"',
          "www-authenticate": `basic, bearer realm="${storage.url}/token?…",service="s",scope="a:b:c",nonce="…"`,
        },
      },
      {
        method: "GET",
        url: `${storage.url}/bucket?…`,
        status: 404,
        responseHeaders: { "set-cookie": "…", "x-amz-id-2": "…", "content-type": "application/xml", server: "echo …" },
      },
    ]);
    expect(exchanges.every(({ durationMs }) => durationMs >= 0)).toBe(true);
    expect(JSON.stringify([exchanges, failure])).not.toContain(secret);
  });

  test("shows what got no answer, too", async () => {
    const exchanges: RegistryExchange[] = [];
    await using resolver = testResolver({ onExchange: (exchange) => exchanges.push(exchange) });
    await errorOf(resolver.resolve("127.0.0.1:1/lib/app:v1"));
    expect(exchanges).toMatchObject([
      {
        method: "HEAD",
        url: "http://127.0.0.1:1/v2/lib/app/manifests/v1",
        error: "registry 127.0.0.1:1: connection refused",
      },
    ]);
    expect(exchanges[0]).not.toHaveProperty("status");
  });
});
