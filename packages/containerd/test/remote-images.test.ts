import { Code, ConnectError } from "@connectrpc/connect";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectContainerd } from "@varve/containerd";
import { digestOf } from "@varve/digest";
import type { ImageStore } from "@varve/images";
import { expect, test } from "vitest";
import { Images } from "../src/gen/containerd/services/images/v1/images_pb.js";
import type { DeleteImageRequest, UpdateImageRequest } from "../src/gen/containerd/services/images/v1/images_pb.js";
import { startFake } from "./fake-containerd.ts";

const target = { mediaType: "application/vnd.oci.image.index.v1+json", digest: digestOf("index"), size: 5 };
const wireTarget = { ...target, size: 5n };

interface FakeImages extends AsyncDisposable {
  readonly images: ImageStore;
}

async function startImages(service: Partial<ServiceImpl<typeof Images>>): Promise<FakeImages> {
  const fake = await startFake((router) => router.service(Images, service));
  const containerd = connectContainerd({ address: fake.address });
  return {
    images: containerd.images,
    [Symbol.asyncDispose]: async () => {
      await containerd.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** What an update becomes on the way. */
async function updatesOf(update: (images: ImageStore) => Promise<unknown>): Promise<unknown> {
  const requests: UpdateImageRequest[] = [];
  await using fake = await startImages({
    update: (request) => {
      requests.push(request);
      return { image: { name: "a", target: wireTarget } };
    },
  });
  await update(fake.images);
  const [request] = requests;
  const { labels, target: sent } = request?.image ?? {};
  return {
    paths: request?.updateMask?.paths,
    labels: { ...labels },
    size: sent?.size,
    annotations: sent === undefined ? undefined : { ...sent.annotations },
  };
}

test("an update names what it changes, and nothing else (6.6, U-MD.9)", async () => {
  expect(await updatesOf((images) => images.update("a", { labels: { "b.c/d": "1", gone: undefined } }))).toEqual({
    paths: ["labels.b.c/d", "labels.gone"],
    labels: { "b.c/d": "1" },
  });
  expect(await updatesOf((images) => images.update("a", { labels: { b: "1" } }, { replace: true }))).toEqual({
    paths: ["labels"],
    labels: { b: "1" },
  });
  const annotations = { b: "2", gone: undefined };
  expect(await updatesOf((images) => images.update("a", { annotations }))).toEqual({
    paths: ["annotations.b", "annotations.gone"],
    labels: {},
    size: 0n,
    annotations: { b: "2" },
  });
  expect(await updatesOf((images) => images.update("a", { annotations }, { replace: true }))).toMatchObject({
    paths: ["annotations"],
    annotations: { b: "2" },
  });
});

test("annotations are changed after the target was replaced", async () => {
  const annotated = { ...target, annotations: { a: "1", gone: "1" } };
  const changes = { target: annotated, annotations: { b: "2", gone: undefined } };
  expect(await updatesOf((images) => images.update("a", changes))).toEqual({
    paths: ["target"],
    labels: {},
    size: 5n,
    annotations: { a: "1", b: "2" },
  });
  expect(await updatesOf((images) => images.update("a", changes, { replace: true }))).toMatchObject({
    annotations: { b: "2" },
  });
});

test("without changes only the time is changed: without a path the image would be emptied", async () => {
  const sent = await updatesOf((images) => images.update("a", {}));
  expect(sent).toEqual({ paths: ["labels.dev.varve/none"], labels: {} });
  expect(await updatesOf((images) => images.update("a", { labels: {} }))).toEqual(sent);
});

test("an image is put whether it is there or not, also while others create and delete it", async () => {
  const calls: string[] = [];
  const answers = ["missing", "taken", "missing", "created"];
  const answer = (call: string): { image: { name: string; target: typeof wireTarget } } => {
    calls.push(call);
    const next = answers.shift();
    if (next === "missing") throw new ConnectError("not found", Code.NotFound);
    if (next === "taken") throw new ConnectError("already exists", Code.AlreadyExists);
    return { image: { name: "a", target: wireTarget } };
  };
  await using fake = await startImages({ update: () => answer("update"), create: () => answer("create") });
  expect(await fake.images.put({ name: "a", target })).toMatchObject({ name: "a", target });
  expect(calls).toEqual(["update", "create", "update", "create"]);
  answers.push("there");
  await fake.images.put({ name: "a", target });
  expect(calls.slice(4)).toEqual(["update"]);
});

test("an image is deleted only if it stands for what is expected, also where containerd does not look", async () => {
  const deletions: DeleteImageRequest[] = [];
  await using fake = await startImages({
    get: ({ name }) => ({ image: { name, target: wireTarget } }),
    delete: (request) => {
      deletions.push(request);
      return {};
    },
  });
  await expect(fake.images.delete("a", { target: digestOf("another") })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: `image a: stands for ${target.digest}, not for ${digestOf("another")}`,
  });
  expect(deletions).toEqual([]);
  await fake.images.delete("a", { target: target.digest });
  await fake.images.delete("b");
  expect(deletions.map(({ name, target: sent }) => [name, sent?.digest])).toEqual([
    ["a", target.digest],
    ["b", undefined],
  ]);
});

test.each([{ size: 0 }, { size: -1 }, { size: 1.5 }, { mediaType: "" }])(
  "a target with %j is refused before it is sent (U-MD.9)",
  async (wrong) => {
    await using fake = await startImages({});
    const refused = { code: "ERR_INVALID_ARGUMENT" };
    await expect(fake.images.create({ name: "a", target: { ...target, ...wrong } })).rejects.toMatchObject(refused);
    await expect(fake.images.update("a", { target: { ...target, ...wrong } })).rejects.toMatchObject(refused);
  },
);

test("a list is filtered here, by fields that an old containerd may not know (C-MD.8)", async () => {
  await using fake = await startImages({
    list: ({ filters }) => {
      expect(filters).toEqual([]);
      const image = {
        target: { ...wireTarget, annotations: { a: "1" } },
        createdAt: { seconds: 1n, nanos: 2_000_000 },
      };
      return {
        images: [
          { ...image, name: "a" },
          { name: "b", target: wireTarget },
        ],
      };
    },
  });
  const listed = [];
  for await (const image of fake.images.list({ filters: ["annotations.a==1"] })) listed.push(image);
  expect(listed).toEqual([
    {
      name: "a",
      target: { ...target, annotations: { a: "1" } },
      labels: {},
      createdAt: new Date(1002),
      updatedAt: new Date(0),
    },
  ]);
  const unread = fake.images.list({ filters: ["name="] })[Symbol.asyncIterator]();
  await expect(unread.next()).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("the empty name is no image", async () => {
  await using fake = await startImages({});
  await expect(fake.images.get("")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(fake.images.create({ name: "", target })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(fake.images.put({ name: "", target })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});
