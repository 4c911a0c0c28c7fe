import type { ImageInput, ImageRecord, ImageStore } from "@varve/images";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { createImageTagStore } from "@varve/registry-server";
import { describe, expect, test } from "vitest";
import { codeOf, indexOf, manifestOf, manifestType, startServer } from "./harness.ts";

function notFound(name: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `image ${name}: not found`);
}

function fakeImages(): ImageStore & { readonly names: () => string[] } {
  const records = new Map<string, ImageRecord>();
  const put = async ({ name, target }: ImageInput): Promise<ImageRecord> => {
    const record = { name, target, labels: {}, createdAt: new Date(0), updatedAt: new Date(0) };
    records.set(name, record);
    return record;
  };
  return {
    names: () => [...records.keys()],
    get: async (name) => records.get(name) ?? Promise.reject(notFound(name)),
    async *list() {
      yield* records.values();
    },
    create: put,
    update: (name) => Promise.reject(notFound(name)),
    put,
    async delete(name) {
      if (!records.delete(name)) throw notFound(name);
    },
  };
}

const target = { mediaType: manifestType, digest: digestOf("m"), size: 1 };

describe("images as tags", () => {
  test("an image is a tag of the repository that its name begins with", async () => {
    const images = fakeImages();
    const tags = createImageTagStore(images);
    for (const name of ["docker.io/library/debian:12", "docker.io/library/debian:11", "quay.io/a/b:x"]) {
      await images.put({ name, target });
    }
    await images.put({ name: `quay.io/a/c@${digestOf("m")}`, target });
    await images.put({ name: "no tag", target });
    expect(await tags.get("docker.io/library/debian", "12")).toEqual(target);
    expect(await tags.get("docker.io/library/debian", "10")).toBeUndefined();
    expect((await tags.list("docker.io/library/debian")).map(({ tag }) => tag)).toEqual(["12", "11"]);
    expect(await tags.list("quay.io/a/c")).toEqual([{ tag: undefined, target }]);
    expect((await tags.repositories()).toSorted()).toEqual(["docker.io/library/debian", "quay.io/a/b"]);
    expect(await tags.delete("quay.io/a/b", "x")).toBe(true);
    expect(await tags.delete("quay.io/a/b", "x")).toBe(false);
  });

  test("repositories without a host belong to the one that is given", async () => {
    const images = fakeImages();
    const tags = createImageTagStore(images, { host: "localhost:5000" });
    await tags.put("team/app", "v1", target);
    await tags.put("quay.io/a/b", "v2", target);
    expect(images.names()).toEqual(["localhost:5000/team/app:v1", "quay.io/a/b:v2"]);
    expect(await tags.get("team/app", "v1")).toEqual(target);
    expect(await tags.list("team/app")).toEqual([{ tag: "v1", target }]);
    expect(await tags.repositories()).toEqual(["team/app", "quay.io/a/b"]);
    const names = ["localhost:5000/team/app", "team/app", "quay.io/a/b", "localhost:5000/quay.io/a/b"];
    expect(names.map((name) => tags.nameOf?.(name))).toEqual(["team/app", "team/app", "quay.io/a/b", names[3]]);
  });

  test("failures of the image store are passed on", async () => {
    const images = fakeImages();
    const failure = new Error("database is gone");
    images.get = async () => Promise.reject(failure);
    images.delete = async () => Promise.reject(failure);
    const tags = createImageTagStore(images);
    await expect(tags.get("a", "b")).rejects.toBe(failure);
    await expect(tags.delete("a", "b")).rejects.toBe(failure);
  });
});

test("a repository that two names lead to is one, for whoever decides and for what it has", async () => {
  const asked = new Set<string | undefined>();
  const tags = createImageTagStore(fakeImages(), { host: "localhost:5000" });
  await using registry = await startServer({
    tags,
    authenticate: async ({ repository }) => {
      asked.add(repository);
      return "allow";
    },
  });
  const theirs = await registry.pushBlob("theirs", Buffer.from("not for everybody"));
  // An index may name what is not there; it must not become a way to it.
  await registry.pushManifest("localhost:5000/mine", indexOf([theirs]), "lure");
  for (const name of ["mine", "localhost:5000/mine"]) {
    expect((await registry.ask("GET", `${name}/manifests/lure`)).status).toBe(200);
    expect((await registry.ask("GET", `${name}/blobs/${theirs}`)).status).toBe(404);
  }
  expect((await registry.ask("GET", "mine/manifests/lure?ns=localhost:5000")).status).toBe(200);
  const mount = await registry.ask("POST", `mine/blobs/uploads/?mount=${theirs}&from=localhost:5000/theirs`);
  expect(mount.status).toBe(201);
  expect(asked).toEqual(new Set(["theirs", "mine"]));
});

test("clients change no image that has another registry's name", async () => {
  const images = fakeImages();
  const name = "docker.io/library/debian:12";
  await images.put({ name, target });
  await using registry = await startServer({ tags: createImageTagStore(images, { host: "localhost:5000" }) });
  for (const [method, path] of [
    ["PUT", "docker.io/library/debian/manifests/12"],
    ["DELETE", "docker.io/library/debian/manifests/12"],
    ["POST", "docker.io/library/debian/blobs/uploads/"],
  ] as const) {
    const answer = await registry.ask(method, path, method === "PUT" ? { body: indexOf([]) } : {});
    expect([answer.status, await codeOf(answer)]).toEqual([403, "DENIED"]);
  }
  expect(await images.get(name)).toMatchObject({ target });
  await registry.pushManifest("library/debian", indexOf([]), "12");
  expect(images.names()).toEqual([name, "localhost:5000/library/debian:12"]);
});

// T4: containerd tells a mirror which registry it stands for
test("a mirror is asked by the registry that it stands for, and may hold it with or without that name", async () => {
  await using registry = await startServer();
  const headers = { "content-type": manifestType };
  for (const repository of ["docker.io/library/one", "library/two"]) {
    const body = manifestOf(await registry.pushBlob(repository, Buffer.from("blob")), []);
    await registry.ask("PUT", `${repository}/manifests/v1`, { body, headers });
  }
  for (const [path, status] of [
    ["library/one/manifests/v1?ns=docker.io", 200],
    ["library/two/manifests/v1?ns=docker.io", 200],
    ["library/one/manifests/v1?ns=quay.io", 404],
    ["library/one/manifests/v1?ns=../etc", 404],
    ["library/one/tags/list?ns=docker.io", 200],
    ["library/two/tags/list?ns=docker.io", 200],
    ["localhost:5000/library/one/manifests/v1", 404],
    ["docker.io/library/one/manifests/v1", 200],
  ] as const) {
    const response = await registry.ask("GET", path);
    expect([path, response.status]).toEqual([path, status]);
  }
});
