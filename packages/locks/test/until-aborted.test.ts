import { untilAborted } from "@varve/locks";
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { settle } from "./settle.ts";

const endless = new Promise<never>(() => undefined);

describe("a wait until an abort", () => {
  test.each([undefined, new AbortController().signal])(
    "gives what the promise comes to, and its error",
    async (signal) => {
      const broken = new Error("no");
      await expect(
        untilAborted(
          settle().then(() => "done"),
          signal,
        ),
      ).resolves.toBe("done");
      await expect(untilAborted(Promise.reject(broken), signal)).rejects.toBe(broken);
    },
  );

  test("ends with the signal, and with its own reason", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const waiting = untilAborted(endless, stop.signal);
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  test("does not begin under an aborted signal, even if there is nothing to wait for", async () => {
    const signal = AbortSignal.abort("late");
    await expect(untilAborted(endless, signal)).rejects.toBe("late");
    await expect(untilAborted(Promise.resolve("done"), signal)).rejects.toBe("late");
    await expect(untilAborted(Promise.reject(new Error("no")), signal)).rejects.toBe("late");
  });

  // An unhandled rejection fails the run.
  test("leaves a promise behind that may fail unheard", async () => {
    const stop = new AbortController();
    const failing = Promise.withResolvers<never>();
    const waits = [
      untilAborted(failing.promise, stop.signal),
      untilAborted(failing.promise, AbortSignal.abort("over")),
    ];
    stop.abort("over");
    for (const wait of waits) await expect(wait).rejects.toBe("over");
    failing.reject(new Error("late"));
    await settle();
  });

  test("leaves nothing behind at the signal when it is over", async () => {
    const { signal } = new AbortController();
    const pending = Promise.withResolvers<string>();
    const waiting = untilAborted(pending.promise, signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    pending.resolve("done");
    await waiting;
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    await expect(untilAborted(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });
});
