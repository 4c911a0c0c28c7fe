import type { ImageInput, ImageRecord, ImageStore } from "@varve/images";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { createImageTagStore } from "@varve/registry-server";
import { describe, expect, test } from "vitest";
import { manifestOf, manifestType, startServer } from "./harness.ts";

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
    expect((await tags.tags("docker.io/library/debian")).toSorted()).toEqual(["11", "12"]);
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
    expect(await tags.tags("team/app")).toEqual(["v1"]);
    expect(await tags.repositories()).toEqual(["team/app", "quay.io/a/b"]);
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

// T4: containerd tells a mirror which registry it stands for
test("a mirror is asked by the registry that it stands for, and may hold it with or without that name", async () => {
  await using registry = await startServer();
  const manifest = manifestOf(await registry.pushBlob("x", Buffer.from("blob")), []);
  const headers = { "content-type": manifestType };
  await registry.ask("PUT", "docker.io/library/one/manifests/v1", { body: manifest, headers });
  await registry.ask("PUT", "library/two/manifests/v1", { body: manifest, headers });
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
