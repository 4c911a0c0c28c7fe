import { blocked, cpu, peak, ratio, seconds } from "../sections/section.ts";
import type { Column, Section } from "../sections/section.ts";
import { median } from "../table.ts";

const time = ratio("× time", (run, base) => run.seconds / base.seconds);

function share(
  head: string,
  of: (thread: { cpuSeconds: number; utilization: number }, seconds: number) => number,
): Column {
  return {
    head,
    cell: (runs) => {
      const shares = runs.flatMap((run) => (run.mainThread === undefined ? [] : [of(run.mainThread, run.seconds)]));
      return shares.length === 0 ? "" : `${(100 * median(shares)).toFixed(0)} %`;
    },
  };
}

const mainThread = [
  share("main thread, CPU", (thread, wall) => thread.cpuSeconds / wall),
  share("main thread, busy", (thread) => thread.utilization),
];

function large(title: string, sync: string, durability: string): Section {
  const base = `curl, ${sync}sha256sum`;
  const prefix = sync === "" ? "curl" : "curl sync";
  return {
    title,
    columns: [seconds, cpu, { ...time, head: "× curl and sha256sum" }, ...mainThread, blocked, peak],
    lines: [
      { name: base, task: `${prefix} sha256sum`, size: 1 },
      { name: `curl, ${sync}openssl`, task: `${prefix} openssl`, size: 1, base },
      { name: "varve", task: `varve ${durability}`, size: 1, base },
    ],
  };
}

const skopeo = "skopeo copy, not synced";

/** What is fetched from a registry. */
export const fetchSections: readonly Section[] = [
  large("a blob of 1 GiB, not synced", "", "none"),
  large("a blob of 1 GiB", "sync, ", "full"),
  {
    title: "an image of 60 small layers",
    columns: [seconds, cpu, { ...time, head: "× skopeo" }, peak],
    lines: [
      { name: skopeo, task: "skopeo", size: 1 },
      { name: "varve, not synced", task: "client none", size: 1, base: skopeo },
      { name: "varve, not synced, without the start of Node", task: "client here none", size: 1, base: skopeo },
      { name: "varve", task: "client full", size: 1, base: skopeo },
      { name: "varve, without the start of Node", task: "client here full", size: 1, base: skopeo },
    ],
  },
];
