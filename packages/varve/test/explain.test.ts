import type { Client, Explanation } from "@varve/client";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
// Not exported: what a name may mean is tested here, what the store says to it through the command.
import { candidates, explainEach } from "../src/actions/explain.ts";

const digest = digestOf("x");
const signal = new AbortController().signal;

/** A store that has these, as `type:id`. */
function storeOf(...items: readonly string[]): Pick<Client, "why"> {
  return {
    why: async ({ type, snapshotter, id }) => {
      if (!items.includes(`${type}:${id}`)) throw new CodedError("ERR_NOT_FOUND", `${type} ${id}: not found`);
      return Promise.resolve({ item: { namespace: "x", type, snapshotter, id }, kept: false, path: [], summary: "" });
    },
  };
}

async function found(store: Pick<Client, "why">, name: string): Promise<readonly Explanation["item"][]> {
  return (await explainEach(store, candidates(name), signal)).map(({ item }) => item);
}

test("a digest may be a blob, the chain ID of a snapshot in each snapshotter, or anybody's name for something", () => {
  expect(candidates(digest)).toEqual([
    { type: "content", id: digest },
    { type: "snapshot", snapshotter: "overlay", id: digest },
    { type: "snapshot", snapshotter: "native", id: digest },
    { type: "image", id: digest },
    { type: "lease", id: digest },
    { type: "ingest", id: digest },
  ]);
});

test("an image is looked for as it was typed, and then as docker would read it", () => {
  expect(candidates("debian", { type: "image" })).toEqual([
    { type: "image", id: "debian" },
    { type: "image", id: "docker.io/library/debian:latest" },
  ]);
  expect(candidates("quay.io/a/b:c", { type: "image" })).toEqual([{ type: "image", id: "quay.io/a/b:c" }]);
  expect(candidates("No Reference", { type: "image" })).toEqual([{ type: "image", id: "No Reference" }]);
});

test("--type and --snapshotter narrow down what is meant", () => {
  expect(candidates("key", { type: "snapshot", snapshotter: "native" })).toEqual([
    { type: "snapshot", snapshotter: "native", id: "key" },
  ]);
  expect(candidates("key").map(({ type }) => type)).not.toContain("content");
});

test("everything that has the name is explained: a layer that is not compressed is a blob and a snapshot", async () => {
  await expect(found(storeOf(`content:${digest}`, `snapshot:${digest}`), digest)).resolves.toMatchObject([
    { type: "content" },
    { type: "snapshot", snapshotter: "overlay" },
    { type: "snapshot", snapshotter: "native" },
  ]);
  await expect(found(storeOf("image:docker.io/library/debian:latest"), "debian")).resolves.toMatchObject([
    { type: "image", id: "docker.io/library/debian:latest" },
  ]);
  await expect(found(storeOf(), "debian")).resolves.toEqual([]);
});

test("an error other than that there is no such thing ends the search", async () => {
  const broken: Pick<Client, "why"> = { why: () => Promise.reject(new CodedError("ERR_DATA_LOSS", "broken")) };
  await expect(found(broken, "debian")).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
});
