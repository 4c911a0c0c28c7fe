import type { RegistryNotice, RegistryResolverOptions } from "@varve/remotes-registry";
import type { TagsOptions } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import type { FakeRegistry } from "./fake-registry.ts";
import { all, testRepository } from "./repository-fixtures.ts";
import { sendJson } from "./token-registry.ts";

const path = "/v2/lib/app/tags/list";

async function tags(
  registry: FakeRegistry,
  options: TagsOptions = {},
  settings: RegistryResolverOptions = {},
): Promise<string[]> {
  await using place = testRepository(registry, settings);
  return await all(place.repository.tags(options));
}

async function someUser(): Promise<{ username: string; password: string }> {
  return { username: "a", password: "planted-secret-tags" };
}

interface Page {
  readonly tags: unknown;
  readonly link?: string | undefined;
}

/** Answers each request with the next page. */
function paged(...pages: Page[]): Promise<FakeRegistry> {
  let count = 0;
  return fakeRegistry((_seen, response) => {
    const page = pages[Math.min(count, pages.length - 1)];
    count += 1;
    const link: Record<string, string> = page?.link === undefined ? {} : { link: page.link };
    send(response, 200, { "content-type": "application/json", ...link }, JSON.stringify({ tags: page?.tags }));
  });
}

// R6
describe("the tags of a repository", () => {
  test("are all that the registry lists", async () => {
    await using registry = await paged({ tags: ["v1", "v2"] });
    expect(await tags(registry)).toEqual(["v1", "v2"]);
    expect(registry.log()).toEqual([`GET ${path}?n=1000`]);
  });

  test("are asked for page by page, by relative and by absolute links, also where a page is not full", async () => {
    const second = `<${path}?last=b&n=3>; rel="next"`;
    await using registry = await fakeRegistry((seen, response) => {
      const last = new URL(seen.path, "http://x").searchParams.get("last");
      const third = `<http://${seen.headers.host}${path}?last=c&n=3>; title="x"; rel=next`;
      const link: Record<string, string> = last === null ? { link: second } : last === "b" ? { link: third } : {};
      const body = { tags: last === null ? ["a", "b"] : last === "b" ? ["c"] : ["d"] };
      send(response, 200, link, JSON.stringify(body));
    });
    expect(await tags(registry, { pageSize: 3 })).toEqual(["a", "b", "c", "d"]);
    expect(registry.log()).toEqual([`GET ${path}?n=3`, `GET ${path}?last=b&n=3`, `GET ${path}?last=c&n=3`]);
  });

  test("are asked for after the last one where pages are full and name no other", async () => {
    await using registry = await paged({ tags: ["a", "b"] }, { tags: ["c", "d"] }, { tags: [] });
    expect(await tags(registry, { pageSize: 2 })).toEqual(["a", "b", "c", "d"]);
    expect(registry.log().slice(1)).toEqual([`GET ${path}?n=2&last=b`, `GET ${path}?n=2&last=d`]);
  });

  test("are listed once by a registry that does not page, whatever is asked", async () => {
    await using registry = await paged({ tags: ["a", "b", "c"] });
    expect(await tags(registry, { pageSize: 2 })).toEqual(["a", "b", "c"]);
    await using full = await paged({ tags: ["a", "b"] });
    // Its second answer is the first again; what it repeats is told twice rather than a page lost.
    expect(new Set(await tags(full, { pageSize: 2 }))).toEqual(new Set(["a", "b"]));
    expect(full.seen).toHaveLength(2);
  });

  test("begin after the one that is named", async () => {
    await using registry = await paged({ tags: ["c"] });
    await tags(registry, { last: "a&b", pageSize: 5 });
    expect(registry.log()).toEqual([`GET ${path}?n=5&last=a%26b`]);
  });

  test.each([[null], [undefined], [[]]])("are none where the list is %j", async (list) => {
    await using registry = await paged({ tags: list });
    expect(await tags(registry)).toEqual([]);
  });

  test("leave out what is none, with a notice", async () => {
    const notices: RegistryNotice[] = [];
    const digest = `sha256:${"0".repeat(64)}`;
    await using registry = await paged({ tags: [null, "v1", digest, 3, "", "a/b", `sha256-${"0".repeat(64)}`] });
    const listed = await tags(registry, {}, { onNotice: (notice) => void notices.push(notice) });
    expect(listed).toEqual(["v1", `sha256-${"0".repeat(64)}`]);
    expect(notices).toMatchObject([{ type: "warning", host: registry.host, text: expect.stringContaining("5 of") }]);
  });

  test("end with an error where the pages go round in a circle", async () => {
    await using registry = await paged(
      { tags: ["a"], link: `<${path}?p=1>; rel="next"` },
      { tags: ["b"], link: `<${path}?p=2>; rel="next"` },
      { tags: ["c"], link: `<${path}?p=1>; rel="next"` },
    );
    await expect(tags(registry)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    expect(registry.seen).toHaveLength(3);
  });

  test("end with an error where there is always another page", async () => {
    let count = 0;
    await using registry = await fakeRegistry((_seen, response) => {
      count += 1;
      send(response, 200, { link: `<?p=${count}>; rel="next"` }, '{"tags":["a"]}');
    });
    await expect(tags(registry)).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
    expect(count).toBe(5000);
  }, 120_000);

  test("end with an error where a page is over the limit, malformed, or no list", async () => {
    await using large = await fakeRegistry((_seen, response) => send(response, 200, {}, Buffer.alloc(2_000_000, 32)));
    await expect(tags(large, {}, { maxManifestSize: 1_000_000 })).rejects.toMatchObject({
      code: "ERR_RESOURCE_EXHAUSTED",
    });
    for (const body of ["<html>", '{"tags":{}}', '{"tags":"v1"}']) {
      await using registry = await fakeRegistry((_seen, response) => send(response, 200, {}, body));
      await expect(tags(registry)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    }
  });

  test("fail as the registry says", async () => {
    await using registry = await fakeRegistry((_seen, response) =>
      sendError(response, 404, "NAME_UNKNOWN", "repository name not known to registry"),
    );
    await expect(tags(registry)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: expect.stringContaining("NAME_UNKNOWN"),
    });
  });

  test("are not asked of another host with our credentials", async () => {
    await using other = await paged({ tags: ["b"] });
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === undefined) return send(response, 401, { "www-authenticate": "Basic realm=x" });
      return send(response, 200, { link: `<${other.url}/more>; rel="next"` }, '{"tags":["a"]}');
    });
    expect(await tags(registry, {}, { credentials: someUser })).toEqual(["a", "b"]);
    expect(other.seen[0]?.headers.authorization).toBeUndefined();
  });

  test("are not asked for with a page size that is none", async () => {
    await using registry = await paged({ tags: [] });
    await expect(tags(registry, { pageSize: 0 })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  test("end with the reason when they are aborted", async () => {
    const stop = new AbortController();
    await using registry = await fakeRegistry(() => stop.abort(new Error("enough")));
    await expect(tags(registry, { signal: stop.signal })).rejects.toThrow("enough");
  });
});

test("a list is asked for when somebody wants to know, and no further than they read", async () => {
  await using registry = await fakeRegistry((_seen, response) => {
    response.setHeader("link", `<?p=${registry.seen.length}>; rel="next"`);
    sendJson(response, { tags: ["a", "b"] });
  });
  await using place = testRepository(registry);
  for await (const tag of place.repository.tags()) if (tag === "b") break;
  expect(registry.seen).toHaveLength(1);
});
