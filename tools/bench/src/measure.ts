import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What one command cost, a daemon that worked for it included. */
export interface Cost {
  readonly wallSeconds: number;
  /** User and system time. */
  readonly cpuSeconds: number;
  /** Of the largest process, plus the daemon. */
  readonly peakMegabytes: number;
}

/** Runs a command to its end and measures it as a whole process. Fails with its output if it fails. */
export async function measure(command: readonly string[], env: NodeJS.ProcessEnv, daemon?: number): Promise<Cost> {
  const report = join(tmpdir(), `varve-bench-${process.pid}.time`);
  const before = await cpuOf(daemon);
  const startedAt = performance.now();
  await run("/usr/bin/time", ["-q", "-f", "%U %S %M", "-o", report, ...command], env);
  const wallSeconds = (performance.now() - startedAt) / 1000;
  const [user = 0, system = 0, kilobytes = 0] = (await readFile(report, "utf8")).trim().split(" ").map(Number);
  await rm(report);
  return {
    wallSeconds,
    cpuSeconds: user + system + (await cpuOf(daemon)) - before,
    peakMegabytes: kilobytes / 1000 + (await peakOf(daemon)),
  };
}

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-2000)));
    child.stderr.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-2000)));
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${args.join(" ")}: ${output}`))));
  });
}

/** Seconds a process and the children it waited for have used, from the 14th to the 17th field of /proc/PID/stat. */
async function cpuOf(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0;
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticksPerSecond = 100;
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
}

async function peakOf(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1000;
}
