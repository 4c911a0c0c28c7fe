import { once } from "node:events";
import { observe } from "@varve/images";
import type { ObservedOptions, OnProgress, ProgressEvent } from "@varve/images";
import { chainIds, digestOf } from "@varve/digest";
import { array, assert, asyncProperty, boolean, constantFrom, record, tuple } from "fast-check";
import { describe, expect, test } from "vitest";
import { named } from "./blobs.ts";

const one = named("one");
const two = named("two");
const fetching = (bytes: number, descriptor = one): ProgressEvent => ({ type: "fetching", descriptor, bytes });
const fetched: ProgressEvent = { type: "fetched", descriptor: one };
const retry = (attempt: number): ProgressEvent => ({ type: "retry", descriptor: one, attempt, error: new Error("x") });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An operation that runs until it is told to end. */
interface Running {
  readonly operation: (options: ObservedOptions) => Promise<string>;
  readonly tell: OnProgress;
  readonly signal: () => AbortSignal | undefined;
  readonly end: (result: string) => void;
  readonly fail: (error: unknown) => void;
}

function running(): Running {
  const { promise, reject, resolve } = Promise.withResolvers<string>();
  let given: ObservedOptions | undefined;
  return {
    operation: async (options) => {
      given = options;
      const aborted = once(options.signal, "abort").then(() => options.signal.throwIfAborted());
      await Promise.race([promise, aborted]);
      return promise;
    },
    tell: (event) => given?.onProgress(event),
    signal: () => given?.signal,
    end: resolve,
    fail: reject,
  };
}

async function all(events: AsyncIterable<ProgressEvent>): Promise<ProgressEvent[]> {
  const seen: ProgressEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
}

describe("observing an operation", () => {
  test("gives its events in order, ends with it, and then its result", async () => {
    const { end, operation, tell } = running();
    const observed = observe(operation);
    const seen = all(observed);
    for (const event of [fetching(0), fetching(3), fetched]) {
      tell(event);
      await turn();
    }
    end("done");
    expect(await seen).toEqual([fetching(0), fetching(3), fetched]);
    expect(await observed.result).toBe("done");
  });

  test("starts it at once, and gives later readers what came before", async () => {
    const { end, operation, signal, tell } = running();
    const observed = observe(operation);
    expect(signal()).toBeDefined();
    tell(fetched);
    end("done");
    await observed.result;
    expect(await all(observed)).toEqual([fetched]);
  });

  test("an error comes out of the loop after the last event, and out of the result", async () => {
    const { fail, operation, tell } = running();
    const observed = observe(operation);
    tell(fetching(1));
    const error = new Error("broken");
    fail(error);
    const seen: ProgressEvent[] = [];
    const loop = async (): Promise<void> => {
      for await (const event of observed) seen.push(event);
    };
    expect(await rejectionOf(loop())).toBe(error);
    expect(seen).toEqual([fetching(1)]);
    expect(await rejectionOf(observed.result)).toBe(error);
  });

  test.each(["loop", "result"] as const)(
    "an error that is only taken from the %s is no unhandled rejection",
    async (from) => {
      const unhandled: unknown[] = [];
      const note = (error: unknown): unknown => unhandled.push(error);
      process.on("unhandledRejection", note);
      try {
        const observed = observe(() => Promise.reject(new Error("broken")));
        // Before anybody takes it.
        await turn();
        expect(await rejectionOf(from === "loop" ? all(observed) : observed.result)).toMatchObject({
          message: "broken",
        });
        await turn();
        expect(unhandled).toEqual([]);
      } finally {
        process.off("unhandledRejection", note);
      }
    },
  );

  test("an operation that throws at once rejects like any other", async () => {
    const observed = observe(() => {
      throw new Error("at once");
    });
    expect(await rejectionOf(observed.result)).toMatchObject({ message: "at once" });
  });

  test("leaving the loop aborts it, and goes on when it has stopped", async () => {
    const stopped: string[] = [];
    const observed = observe(async ({ onProgress, signal }) => {
      onProgress(fetching(1));
      await once(signal, "abort");
      await turn();
      stopped.push("operation");
      signal.throwIfAborted();
    });
    for await (const event of observed) {
      expect(event).toEqual(fetching(1));
      break;
    }
    stopped.push("reader");
    expect(stopped).toEqual(["operation", "reader"]);
    expect(await rejectionOf(observed.result)).toMatchObject({ name: "AbortError" });
  });

  test("an error of the loop's own body aborts it too, and is what comes out", async () => {
    const { operation, signal, tell } = running();
    const observed = observe(operation);
    tell(fetching(1));
    const loop = async (): Promise<void> => {
      for await (const event of observed) throw new Error(`cannot show ${event.type}`);
    };
    expect(await rejectionOf(loop())).toMatchObject({ message: "cannot show fetching" });
    expect(signal()?.aborted).toBe(true);
  });

  test("leaving wakes a reader that waits", async () => {
    const { operation } = running();
    const events = observe(operation)[Symbol.asyncIterator]();
    const next = events.next();
    await events.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test("a loop that went to its end aborts nothing", async () => {
    const { end, operation, signal } = running();
    const observed = observe(operation);
    end("done");
    await all(observed);
    expect(signal()?.aborted).toBe(false);
  });

  test("a signal from outside aborts it with its own reason", async () => {
    const { operation } = running();
    const controller = new AbortController();
    const observed = observe(operation, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await rejectionOf(all(observed))).toBe(reason);
    expect(await rejectionOf(observed.result)).toBe(reason);
  });

  test("a signal that is aborted already keeps it from starting", async () => {
    let started = false;
    const observed = observe(
      async () => {
        started = true;
      },
      { signal: AbortSignal.abort(new Error("before")) },
    );
    expect(await rejectionOf(observed.result)).toMatchObject({ message: "before" });
    expect(started).toBe(false);
  });

  test("a second loop is refused", async () => {
    const observed = observe(async () => "done");
    await all(observed);
    expect(() => observed[Symbol.asyncIterator]()).toThrow(
      expect.objectContaining({ code: "ERR_FAILED_PRECONDITION", message: "events: are being read by another loop" }),
    );
  });
});

/** What a reader gets who begins when all is over. */
async function untaken(events: readonly ProgressEvent[]): Promise<ProgressEvent[]> {
  const observed = observe(async ({ onProgress }) => {
    for (const event of events) onProgress(event);
  });
  await observed.result;
  return all(observed);
}

function isFinal({ type }: ProgressEvent): boolean {
  return type === "fetched" || type === "committed" || type === "exists";
}

describe("events that nobody takes", () => {
  test("make room for newer ones of their object and kind", async () => {
    const applying = (bytes: number): ProgressEvent => ({
      type: "applying",
      descriptor: one,
      chainId: two.digest,
      bytes,
    });
    const many = Array.from({ length: 20_000 }, (_, bytes) => [fetching(bytes), applying(bytes), fetching(bytes, two)]);
    expect(await untaken(many.flat())).toEqual([fetching(19_999), applying(19_999), fetching(19_999, two)]);
  });

  test("of an attempt that failed are gone, so that bytes do not go back without a retry", async () => {
    expect(await untaken([fetching(10), retry(1), fetching(5), retry(2)])).toEqual([retry(2)]);
    expect(await untaken([fetching(10), retry(1), fetching(5)])).toEqual([retry(1), fetching(5)]);
  });

  // G-70
  test("are all kept if they are final", async () => {
    const exists: ProgressEvent = { type: "exists", descriptor: one, what: "blob" };
    const committed = chainIds([one.digest, one.digest]).map((chainId): ProgressEvent => ({
      type: "committed",
      descriptor: one,
      chainId,
    }));
    const events = [exists, exists, ...committed, fetched, fetching(1, two)];
    expect(await untaken(events)).toEqual(events);
  });

  // G-70, whatever the reader's pace: what it sees happened in that order, with every final event.
  test("leave a reader of any pace a true story", async () => {
    const event = tuple(
      constantFrom("fetching", "resumed", "waiting", "retry", "applying", "applied", "fetched", "committed", "exists"),
      record({ descriptor: constantFrom(one, two), chainId: constantFrom(digestOf("a"), digestOf("b")) }),
    ).map(([type, rest]) => ({ type, ...rest }) as unknown as ProgressEvent);
    await assert(
      asyncProperty(array(tuple(event, boolean()), { maxLength: 50 }), async (script) => {
        const told: ProgressEvent[] = [];
        const observed = observe(async ({ onProgress }) => {
          for (const [template, pauses] of script) {
            const happened = { ...template };
            told.push(happened);
            onProgress(happened);
            if (pauses) await turn();
          }
        });
        const seen = await all(observed);
        const places = seen.map((taken) => told.indexOf(taken));
        expect(places).not.toContain(-1);
        expect(places).toEqual(places.toSorted((a, b) => a - b));
        expect(seen.filter(isFinal)).toEqual(told.filter(isFinal));
        // And the last of all is never lost.
        expect(seen.at(-1)).toBe(told.at(-1));
      }),
      { numRuns: 200 },
    );
  });
});
