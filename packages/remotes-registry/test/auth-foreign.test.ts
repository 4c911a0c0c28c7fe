import { expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { blob, errorOf, fetchLayer, layer, manifest, target, testResolver } from "./fixtures.ts";

const credentials = async (): Promise<{ username: string; password: string }> => ({
  username: "user",
  password: "planted-secret-foreign",
});

const pushed = [
  ["a manifest", target, manifest],
  ["a blob", layer, blob],
] as const;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

// D1, D4, P3: 307 and 308 lead bodies on as well
test.each(pushed)("a host that %s is redirected to, and that wants a login, gets none of ours", async (...row) => {
  const [, descriptor, bytes] = row;
  await using storage = await fakeRegistry((seen, response) => {
    if (seen.path.startsWith("/token")) return send(response, 200, {}, '{"token":"its-own"}');
    return send(response, 401, { "www-authenticate": `Bearer realm="http://${seen.headers.host}/token"` });
  });
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.method === "HEAD") return send(response, 404);
    if (seen.method === "POST") return send(response, 202, { location: "/v2/lib/app/blobs/uploads/1" });
    return send(response, 307, { location: `${storage.url}/put` });
  });
  await using resolver = testResolver({ credentials });
  const body = (): AsyncGenerator<Uint8Array> => once(bytes);
  await expect(resolver.pusher(`${registry.host}/lib/app`).push(descriptor, { body })).rejects.toMatchObject({
    code: "ERR_UNAUTHENTICATED",
  });
  expect(storage.seen.length).toBeGreaterThan(0);
  expect(storage.log().filter((line) => line.includes("/token"))).toEqual([]);
  expect(storage.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
});

// P3, A14
test("a host that an upload was sent to is neither quoted nor told as one that got credentials", async () => {
  await using storage = await fakeRegistry((_seen, response) => sendError(response, 403, "X", "signature=abc"));
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.method === "HEAD") return send(response, 404);
    return send(response, 202, { location: `${storage.url}/put` });
  });
  await using resolver = testResolver({ credentials });
  const error = await errorOf(resolver.pusher(`${registry.host}/lib/app`).push(layer, { body: () => once(blob) }));
  expect(error).toMatchObject({ code: "ERR_PERMISSION_DENIED" });
  expect(String(error)).not.toMatch(/signature|credentials/);
});

// A14
test("what headers of the user say is hidden when a registry repeats it", async () => {
  const key = "planted-secret-header";
  const notices: unknown[] = [];
  const exchanges: unknown[] = [];
  await using registry = await fakeRegistry((seen, response) => {
    const told = String(seen.headers["x-key"]);
    response.setHeader("warning", `299 - "you sent ${told}"`);
    response.setHeader("server", told);
    sendError(response, 403, "DENIED", `key ${told} is no good`);
  });
  await using resolver = testResolver({
    headers: { "X-Key": key },
    onNotice: (notice) => notices.push(notice),
    onExchange: (exchange) => exchanges.push(exchange),
  });
  const error = await errorOf(fetchLayer(resolver, registry.host));
  expect(String(error)).toContain("key … is no good");
  expect(notices).toContainEqual({ type: "warning", host: registry.host, text: "you sent …" });
  expect(JSON.stringify([notices, exchanges, String(error)])).not.toContain(key);
});
