import { createSingleFlight } from "@varve/locks";
import { describe, expect, test } from "vitest";
import { settle } from "./settle.ts";

// D10
describe("a single flight", () => {
  test("runs once for all who ask at the same time", async () => {
    const flights = createSingleFlight<string, object>();
    let runs = 0;
    const work = async (): Promise<object> => {
      runs += 1;
      await settle();
      return { run: runs };
    };
    const [first, second, other] = await Promise.all([
      flights.run("a", work),
      flights.run("a", work),
      flights.run("b", work),
    ]);
    expect(first).toBe(second);
    expect(other).not.toBe(first);
    expect(runs).toBe(2);
  });

  test("runs anew once the last run ended", async () => {
    const flights = createSingleFlight<string, number>();
    let runs = 0;
    const work = async (): Promise<number> => (runs += 1);
    expect(await flights.run("a", work)).toBe(1);
    expect(await flights.run("a", work)).toBe(2);
  });

  test("shares a failure, and forgets it", async () => {
    const flights = createSingleFlight<string, string>();
    const broken = new Error("no");
    const failing = async (): Promise<string> => {
      await settle();
      throw broken;
    };
    const outcomes = await Promise.allSettled([flights.run("a", failing), flights.run("a", failing)]);
    expect(outcomes).toEqual([
      { status: "rejected", reason: broken },
      { status: "rejected", reason: broken },
    ]);
    expect(await flights.run("a", async () => "next")).toBe("next");
  });

  test("work that throws at once fails like any other", async () => {
    const flights = createSingleFlight<string, string>();
    const broken = new Error("at once");
    const run = flights.run("a", () => {
      throw broken;
    });
    await expect(run).rejects.toBe(broken);
    expect(await flights.run("a", async () => "next")).toBe("next");
  });

  test("goes on for the others when the one who started it leaves", async () => {
    const flights = createSingleFlight<string, string>();
    const gate = Promise.withResolvers<string>();
    let aborted = false;
    const stop = new AbortController();
    const starter = flights.run(
      "a",
      (signal) => {
        signal.addEventListener("abort", () => (aborted = true));
        return gate.promise;
      },
      { signal: stop.signal },
    );
    const joined = flights.run("a", () => Promise.reject(new Error("must not run")));
    stop.abort("starter leaves");
    await expect(starter).rejects.toBe("starter leaves");
    await settle();
    expect(aborted).toBe(false);
    gate.resolve("done");
    expect(await joined).toBe("done");
  });

  test("is aborted when the last one has left, and whoever comes then starts anew", async () => {
    const flights = createSingleFlight<string, string>();
    const stops = [new AbortController(), new AbortController()];
    const signals: AbortSignal[] = [];
    const endless = (signal: AbortSignal): Promise<string> => {
      signals.push(signal);
      return new Promise<string>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("given up")));
      });
    };
    const runs = stops.map((stop) => flights.run("a", endless, { signal: stop.signal }));
    stops[0]?.abort("first");
    await expect(runs[0]).rejects.toBe("first");
    expect(signals[0]?.aborted).toBe(false);
    stops[1]?.abort("second");
    await expect(runs[1]).rejects.toBe("second");
    expect(signals[0]?.aborted).toBe(true);
    expect(signals[0]?.reason).toMatchObject({ code: "ERR_ABORTED" });
    expect(await flights.run("a", async () => "anew")).toBe("anew");
    expect(signals).toHaveLength(1);
  });

  test("a given-up run that ends late does not take the key from the new one", async () => {
    const flights = createSingleFlight<string, string>();
    const old = Promise.withResolvers<string>();
    const fresh = Promise.withResolvers<string>();
    const stop = new AbortController();
    const given = flights.run("a", () => old.promise, { signal: stop.signal });
    stop.abort("leave");
    await expect(given).rejects.toBe("leave");
    const second = flights.run("a", () => fresh.promise);
    old.resolve("old");
    await settle();
    const third = flights.run("a", () => Promise.reject(new Error("must not run")));
    fresh.resolve("fresh");
    expect(await Promise.all([second, third])).toEqual(["fresh", "fresh"]);
  });

  test("leaves the signal alone once the work is done: what it gave may live under it", async () => {
    const flights = createSingleFlight<string, AbortSignal>();
    const signal = await flights.run("a", async (given) => given);
    await settle();
    expect(signal.aborted).toBe(false);
  });

  test("a signal that is aborted already starts nothing", async () => {
    const flights = createSingleFlight<string, string>();
    let started = false;
    const work = async (): Promise<string> => String((started = true));
    await expect(flights.run("a", work, { signal: AbortSignal.abort("late") })).rejects.toBe("late");
    expect(started).toBe(false);
  });

  test("work that aborts its caller at once does not keep it, and is given up", async () => {
    const flights = createSingleFlight<string, string>();
    const stop = new AbortController();
    let given: AbortSignal | undefined;
    const work = (signal: AbortSignal): Promise<string> => {
      given = signal;
      stop.abort("enough");
      return new Promise(() => undefined);
    };
    await expect(flights.run("a", work, { signal: stop.signal })).rejects.toBe("enough");
    expect(given?.aborted).toBe(true);
  });
});
