import type { Repository } from "@varve/remotes";
import { describe, expect, test } from "vitest";
// Addresses outside cannot be asked here: what is made of an answer is looked at by itself.
import { namedAddress } from "../src/repository/named-address.ts";
import type { Reply } from "../src/http/reply.ts";
import { fakeRegistry, send } from "./fake-registry.ts";
import { blob, layer, testResolver } from "./fixtures.ts";
import { all, testRepository } from "./repository-fixtures.ts";

function answerOf(address: string): Reply {
  // Nothing else of it is looked at.
  return { method: "POST", url: new URL(address) } as Reply;
}

// A12, for uploads and pages
describe("an address that an answer names", () => {
  test.each([
    ["/v2/x?a=b%2F", "https://registry.example/v2/x?a=b%2F"],
    ["https://storage.example/x", "https://storage.example/x"],
    ["//storage.example/x", "https://storage.example/x"],
  ])("is taken: %s", (text, wanted) => {
    expect(namedAddress(text, answerOf("https://registry.example/v2/"))?.href).toBe(wanted);
  });

  test.each(["ftp://x/", "file:///etc/passwd", "http://", "javascript:1"])("is none: %s", (text) => {
    expect(namedAddress(text, answerOf("https://registry.example/v2/"))).toBeUndefined();
  });

  test.each(["http://169.254.169.254/latest", "https://10.0.0.1/", "https://localhost/", "https://[::1]:2375/"])(
    "is refused from a registry outside: %s",
    (text) => {
      expect(() => namedAddress(text, answerOf("https://registry.example/v2/"))).toThrow(
        /an address of an inner network/,
      );
    },
  );

  test("may be inside for a registry inside", () => {
    expect(namedAddress("http://10.0.0.2/x", answerOf("http://10.0.0.1/v2/"))?.host).toBe("10.0.0.2");
  });
});

async function* body(): AsyncGenerator<Uint8Array> {
  yield blob;
}

test("an upload or a page at no http address is the registry's fault, or the end", async () => {
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.method === "HEAD") return send(response, 404);
    if (seen.method === "POST") return send(response, 202, { location: "ftp://x/" });
    return send(response, 200, { link: '<ftp://x/>; rel="next"' }, '{"tags":["a"]}');
  });
  await using resolver = testResolver();
  const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, { body });
  await expect(pushing).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  await using place = testRepository(registry);
  const { repository }: { readonly repository: Repository } = place;
  expect(await all(repository.tags())).toEqual(["a"]);
});
