import { describe, expect, test } from "vitest";
import { fakeRegistry, send } from "./fake-registry.ts";
import { blob, layer, testResolver } from "./fixtures.ts";
import { sendJson } from "./token-registry.ts";
import { uploadRegistry } from "./upload-registry.ts";
import type { UploadRegistry } from "./upload-registry.ts";

async function* body(offset: number): AsyncGenerator<Uint8Array> {
  yield blob.subarray(offset);
}

async function pushTo(registry: { readonly host: string }, mountFrom: readonly string[]): Promise<unknown> {
  await using resolver = testResolver();
  return await resolver.pusher(`${registry.host}/lib/app`).push(layer, { body, mountFrom });
}

function steps(registry: UploadRegistry): string[] {
  return registry.log.slice(1);
}

const mount = "POST blobs/uploads/?mount&from";

// P2, C-PSH.5, U-PSH.1
describe("a blob that another repository has", () => {
  test("is mounted, and no byte is sent", async () => {
    await using registry = await uploadRegistry({ mount: () => 201 });
    expect(await pushTo(registry, ["lib/base"])).toBe("mounted");
    expect(steps(registry)).toEqual([mount]);
    expect(registry.received).toBe(0);
  });

  test("is sent by the upload that the registry begins instead", async () => {
    await using registry = await uploadRegistry();
    expect(await pushTo(registry, ["lib/base"])).toBe("sent");
    expect(steps(registry)).toEqual([mount, "PUT blobs/uploads/s?digest"]);
    expect(registry.blobs.has(layer.digest)).toBe(true);
  });

  test("is asked of the next repository, and the upload of the last one is used, those before it dropped", async () => {
    await using registry = await uploadRegistry();
    expect(await pushTo(registry, ["a", "b"])).toBe("sent");
    expect(steps(registry)).toEqual([mount, "DELETE blobs/uploads/s", mount, "PUT blobs/uploads/s?digest"]);
    expect(registry.sessions.size).toBe(0);
  });

  test("is mounted from the second repository when the first has it not", async () => {
    await using registry = await uploadRegistry({ mount: (from) => (from === "lib/b" ? 201 : 202) });
    expect(await pushTo(registry, ["lib/a", "lib/b"])).toBe("mounted");
    expect(registry.sessions.size).toBe(0);
  });

  // C-PSH.4
  test.each([401, 403, 404, 405, 400])("is uploaded when the mount is refused with %i", async (status) => {
    await using registry = await uploadRegistry({ mount: () => status });
    expect(await pushTo(registry, ["lib/base"])).toBe("sent");
    const ways = steps(registry).filter((step) => !step.startsWith("GET"));
    expect(ways).toEqual([mount, "POST blobs/uploads/", "PUT blobs/uploads/s?digest"]);
  });

  test("is not asked of the repository itself, nor of more than three", async () => {
    const asked: string[] = [];
    await using registry = await uploadRegistry({
      mount: (from) => {
        asked.push(from);
        return 404;
      },
    });
    await pushTo(registry, ["lib/app", "a", "b", "c", "d"]);
    expect(asked).toEqual(["a", "b", "c"]);
  });
});

/** A registry that wants tokens; `refuses` says which scopes its token server does not give. */
function tokenMounts(refuses: (scopes: string[]) => boolean, asked: string[][]): ReturnType<typeof fakeRegistry> {
  return fakeRegistry((seen, response) => {
    const url = new URL(seen.path, "http://registry");
    if (url.pathname === "/token") {
      const scopes = url.searchParams.getAll("scope");
      asked.push(scopes);
      return refuses(scopes) ? send(response, 403) : sendJson(response, { token: "planted-secret-mount" });
    }
    if (seen.headers.authorization === undefined) {
      const challenge = `Bearer realm="http://${seen.headers.host}/token",service="reg"`;
      return send(response, 401, { "www-authenticate": challenge });
    }
    if (seen.method === "HEAD") return send(response, 404);
    if (url.searchParams.has("from")) return send(response, 201);
    return seen.method === "POST" ? send(response, 202, { location: "/up/1" }) : send(response, 201);
  });
}

// P2, A10
test("a mount asks for the right to read the other repository", async () => {
  const asked: string[][] = [];
  await using registry = await tokenMounts(() => false, asked);
  expect(await pushTo(registry, ["lib/base"])).toBe("mounted");
  expect(asked.at(-1)).toEqual(["repository:lib/app:pull,push", "repository:lib/base:pull"]);
});

// C-PSH.4
test("a mount for which no token is to be had becomes an upload", async () => {
  const asked: string[][] = [];
  await using registry = await tokenMounts((scopes) => scopes.some((scope) => scope.includes("lib/base")), asked);
  expect(await pushTo(registry, ["lib/base"])).toBe("sent");
  expect(asked.some((scopes) => scopes.length === 2)).toBe(true);
});
