import { dispatch, handlers, skipDescriptor, stopHandlers, walk } from "@varve/images";
import type { Handler } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { named } from "./blobs.ts";

const tree: Record<string, string[]> = { root: ["a", "b"], a: ["a1", "a2"], b: ["b1"] };
const names = new Map(["root", "a", "b", "a1", "a2", "b1"].map((name) => [named(name).digest, name]));

function nameOf(descriptor: Descriptor): string {
  return names.get(descriptor.digest) ?? "?";
}

const children: Handler = async (descriptor) => (tree[nameOf(descriptor)] ?? []).map((name) => named(name));

function recording(seen: string[]): Handler {
  return async (descriptor) => {
    seen.push(nameOf(descriptor));
    return [];
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const skipA: Handler = async (descriptor) => (nameOf(descriptor) === "a" ? skipDescriptor : []);

const stopA: Handler = async (descriptor) => (nameOf(descriptor) === "a" ? stopHandlers : []);

const failing: Handler = async (descriptor) => {
  if (nameOf(descriptor) === "a") throw new Error("boom");
  return [];
};

const bomb: Handler = async () => Array.from({ length: 10 }, () => named("root"));

describe("walk", () => {
  // U-IMG.1
  test("goes depth first, a descriptor before its children", async () => {
    const seen: string[] = [];
    await walk(handlers(recording(seen), children), [named("root")]);
    expect(seen).toEqual(["root", "a", "a1", "a2", "b", "b1"]);
  });

  // U-IMG.1
  test("does not go below what a handler skips", async () => {
    const seen: string[] = [];
    await walk(handlers(recording(seen), children, skipA), [named("root")]);
    expect(seen).toEqual(["root", "a", "b", "b1"]);
  });

  // U-IMG.1
  test("leaves out the handlers after one that stops the chain, and keeps the children", async () => {
    const first: string[] = [];
    const last: string[] = [];
    await walk(handlers(recording(first), children, stopA, recording(last)), [named("root")]);
    expect(first).toEqual(["root", "a", "a1", "a2", "b", "b1"]);
    expect(last).toEqual(["root", "a1", "a2", "b", "b1"]);
  });

  test("ends with the first error", async () => {
    const seen: string[] = [];
    await expect(walk(handlers(recording(seen), failing, children), [named("root")])).rejects.toThrow("boom");
    expect(seen).toEqual(["root", "a"]);
  });

  test("ends with the signal's own reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const aborting: Handler = async () => {
      controller.abort(reason);
      return [];
    };
    const handler = handlers(children, aborting);
    await expect(walk(handler, [named("root")], { signal: controller.signal })).rejects.toBe(reason);
  });

  test("refuses an image that unfolds to more than the limit", async () => {
    await expect(walk(bomb, [named("root")], { maxDescriptors: 500 })).rejects.toMatchObject({
      code: "ERR_RESOURCE_EXHAUSTED",
      message: expect.stringContaining("maxDescriptors"),
    });
  });
});

describe("dispatch", () => {
  test("handles everything, a descriptor before its children", async () => {
    const seen: string[] = [];
    await dispatch(handlers(recording(seen), children), [named("root")]);
    expect(seen.toSorted()).toEqual(["a", "a1", "a2", "b", "b1", "root"]);
    expect(seen.indexOf("a")).toBeLessThan(seen.indexOf("a1"));
    expect(seen[0]).toBe("root");
  });

  test("has nothing to do without roots", async () => {
    await expect(dispatch(children, [])).resolves.toBeUndefined();
  });

  // U-IMG.3
  test("handles no more at once than the concurrency", async () => {
    let running = 0;
    let most = 0;
    const slow: Handler = async (descriptor, context) => {
      running += 1;
      most = Math.max(most, running);
      await turn();
      running -= 1;
      return children(descriptor, context);
    };
    await dispatch(slow, [named("root"), named("a"), named("b")], { concurrency: 2 });
    expect(most).toBe(2);
  });

  // U-IMG.3
  test("holds the limiter only while handling, so a limit of one is no deadlock", async () => {
    let held = 0;
    let most = 0;
    let tail: Promise<unknown> = Promise.resolve();
    const limiter = {
      run<T>(task: () => Promise<T>): Promise<T> {
        const result = tail.then(async () => {
          held += 1;
          most = Math.max(most, held);
          try {
            return await task();
          } finally {
            held -= 1;
          }
        });
        tail = result.catch(() => {});
        return result;
      },
    };
    const seen: string[] = [];
    await dispatch(handlers(recording(seen), children), [named("root")], { limiter, concurrency: 4 });
    expect(seen).toHaveLength(6);
    expect(most).toBe(1);
  });

  test("the first error aborts the others, and is thrown when they have settled", async () => {
    const boom = new Error("boom");
    let settled = false;
    const handler: Handler = async (descriptor, { signal }) => {
      if (nameOf(descriptor) === "a") {
        await turn();
        throw boom;
      }
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      await turn();
      settled = true;
      throw new Error("later");
    };
    await expect(dispatch(handler, [named("a"), named("b")])).rejects.toBe(boom);
    expect(settled).toBe(true);
  });

  test("starts nothing after an error", async () => {
    const seen: string[] = [];
    const handler: Handler = async (descriptor) => {
      seen.push(nameOf(descriptor));
      throw new Error("boom");
    };
    await expect(dispatch(handler, [named("a"), named("b")], { concurrency: 1 })).rejects.toThrow("boom");
    expect(seen).toEqual(["a"]);
  });

  test("an abort is passed to the handlers and thrown as it is", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const handler: Handler = async (_, { signal }) => {
      controller.abort(reason);
      signal.throwIfAborted();
      return [];
    };
    await expect(dispatch(handler, [named("a")], { signal: controller.signal })).rejects.toBe(reason);
    await expect(dispatch(handler, [named("a")], { signal: controller.signal })).rejects.toBe(reason);
  });

  test("refuses an image that unfolds to more than the limit", async () => {
    await expect(dispatch(bomb, [named("root")], { maxDescriptors: 500 })).rejects.toMatchObject({
      code: "ERR_RESOURCE_EXHAUSTED",
    });
  });
});
