// Loaded into a process before its program: writes how long its main thread was blocked to the file `VARVE_BENCH_BLOCKS`.
import { subscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

const tickMs = 1;

function watch(report: string): void {
  const delay = monitorEventLoopDelay({ resolution: tickMs });
  const longest = (): number => (delay.count === 0 ? 0 : Math.max(0, delay.max / 1e6 - tickMs));
  const turns = watchTurns();
  let start: number | undefined;
  const connected = (): void => {
    start ??= longest();
    delay.reset();
    turns.reset();
  };
  let isSeen = false;
  subscribe("net.client.socket", () => {
    if (isSeen) return;
    isSeen = true;
    // The turn that connects has loaded what it connects with; it counts once the next one has begun.
    setImmediate(() => setImmediate(connected));
  });
  delay.enable();
  process.once("exit", () => {
    const later = start === undefined ? 0 : longest();
    writeFileSync(report, JSON.stringify({ start: start ?? longest(), later, laterCpu: turns.longest() }));
  });
}

/** The most CPU time between two looks: a block that others on the machine have caused has none, nor has a wait for a disk. */
function watchTurns(): { longest(): number; reset(): void } {
  let last = cpuMs();
  let most = 0;
  const look = (): void => {
    const current = cpuMs();
    most = Math.max(most, current - last);
    last = current;
  };
  setInterval(look, tickMs).unref();
  return {
    longest: () => most,
    reset: () => {
      last = cpuMs();
      most = 0;
    },
  };
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const report = process.env["VARVE_BENCH_BLOCKS"];
if (isMainThread && report !== undefined) watch(report);
