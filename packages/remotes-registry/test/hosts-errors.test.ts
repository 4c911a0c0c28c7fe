import { describe, expect, test } from "vitest";
import { fakeRegistry, sendError } from "./fake-registry.ts";
import { blobPath, errorOf, fetchLayer, layer, testResolver } from "./fixtures.ts";
import { always, mirrored, nobody } from "./hosts-servers.ts";

describe("when no server gives it", () => {
  // U-RES.3: what the registry itself says counts
  test.each([
    [503, 404, "ERR_NOT_FOUND", "404 Not Found", "503 Service Unavailable"],
    [
      404,
      403,
      "ERR_PERMISSION_DENIED",
      "403 Forbidden (not found or no access, asked without credentials)",
      "404 Not Found",
    ],
    [401, 500, "ERR_NETWORK", "500 Internal Server Error", "401 Unauthorized"],
  ])("a mirror saying %i and the registry %i is %s", async (mirrorSays, says, code, message, also) => {
    await using mirror = await always(mirrorSays);
    await using origin = await always(says);
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin), retries: 0 });
    await expect(fetchLayer(resolver, origin.host)).rejects.toMatchObject({
      code,
      message: `GET ${origin.url}${blobPath}: ${message} (also asked: ${mirror.host}: ${also})`,
    });
  });

  // U-RES.3
  test("a mirror that refuses says more than a registry that is silent, one that has nothing says less", async () => {
    await using refusing = await fakeRegistry((_seen, response) => sendError(response, 403, "DENIED", "not for you"));
    await using empty = await always(404);
    for (const [mirror, code, message] of [
      [
        refusing,
        "ERR_PERMISSION_DENIED",
        `GET ${refusing.url}${blobPath}?…: 403 Forbidden: DENIED: not for you (not found or no access, asked without credentials) (also asked: 127.0.0.1:1: connection refused)`,
      ],
      [empty, "ERR_NETWORK", `registry 127.0.0.1:1: connection refused (also asked: ${empty.host}: 404 Not Found)`],
    ] as const) {
      await using resolver = testResolver({ endpoints: mirrored(mirror, { url: nobody }), retries: 0 });
      await expect(fetchLayer(resolver, "127.0.0.1:1")).rejects.toMatchObject({ code, message });
    }
  });

  test("of two mirrors that failed the later one is told of, and the cause is that of the error", async () => {
    await using first = await always(500);
    await using second = await always(502);
    await using resolver = testResolver({ endpoints: mirrored(first, second, { url: nobody }), retries: 0 });
    await expect(fetchLayer(resolver, "127.0.0.1:1")).rejects.toMatchObject({
      message: expect.stringMatching(/502 Bad Gateway \(also asked: \S+: 500 Internal Server Error; 127/),
    });
    await using empty = await always(404);
    await using silent = testResolver({ endpoints: mirrored(empty, { url: nobody }), retries: 0 });
    // Whoever asks looks there to see whether trying again may help.
    await expect(fetchLayer(silent, "127.0.0.1:1")).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  });

  test("with very many mirrors the message stays short", async () => {
    await using mirror = await always(500);
    const mirrors = Array.from({ length: 50 }, (_, index) => ({ url: `${mirror.url}/m${index}` }));
    await using resolver = testResolver({ endpoints: mirrored(...mirrors), retries: 0 });
    const error = await errorOf(fetchLayer(resolver, "registry.example"));
    expect(String(error)).toMatch(/45 more\)$/);
    expect(String(error).length).toBeLessThan(600);
  });

  // M8, U-RES.2, C-RES.7
  test("a digest is looked for among blobs only if the registry itself said 404, whatever mirrors said", async () => {
    await using mirror = await always(404);
    await using origin = await always(500);
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin), retries: 0 });
    await expect(resolver.resolve(`${origin.host}/lib/app@${layer.digest}`)).rejects.toMatchObject({
      code: "ERR_NETWORK",
    });
    expect(origin.log()).toEqual([`HEAD /v2/lib/app/manifests/${layer.digest}`]);
  });
});
