import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Result } from "./result.ts";

const tickMs = 1;

/** Runs and measures what a task is about. What comes before and after in its process does not count. */
export async function timed(work: () => Promise<Pick<Result, "count" | "check">>): Promise<Result> {
  const delay = monitorEventLoopDelay({ resolution: tickMs });
  delay.enable();
  const before = process.cpuUsage();
  const startedAt = performance.now();
  const { count, check } = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(before);
  delay.disable();
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    count,
    check,
    // A work that never gave way was never looked at: it blocked for all of its time.
    blockedMs: delay.count === 0 ? seconds * 1000 : Math.max(0, delay.max / 1e6 - tickMs),
    peakMegabytes: process.resourceUsage().maxRSS / 1000,
  };
}
