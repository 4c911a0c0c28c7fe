import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What one command cost, the daemons that worked for it included. */
export interface Cost {
  readonly wallSeconds: number;
  /** User and system time. */
  readonly cpuSeconds: number;
  /** Of the largest process, plus the daemons. */
  readonly peakMegabytes: number;
}

/** Runs a command to its end and measures it as a whole process. Fails with its output if it fails. */
export async function measure(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  daemons: readonly number[] = [],
): Promise<Cost> {
  const report = join(tmpdir(), `varve-bench-${process.pid}.time`);
  const before = await sum(daemons, cpuOf);
  const startedAt = performance.now();
  await run("/usr/bin/time", ["-q", "-f", "%U %S %M", "-o", report, ...command], env);
  const wallSeconds = (performance.now() - startedAt) / 1000;
  const [user = 0, system = 0, kilobytes = 0] = (await readFile(report, "utf8")).trim().split(" ").map(Number);
  await rm(report);
  return {
    wallSeconds,
    cpuSeconds: user + system + (await sum(daemons, cpuOf)) - before,
    peakMegabytes: kilobytes / 1000 + (await sum(daemons, peakOf)),
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

async function sum(pids: readonly number[], figureOf: (pid: number) => Promise<number>): Promise<number> {
  const figures = await Promise.all(pids.map(figureOf));
  return figures.reduce((total, figure) => total + figure, 0);
}

/** Seconds a process and the children it waited for have used, from the 14th to the 17th field of /proc/PID/stat. */
async function cpuOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticksPerSecond = 100;
  return fields.slice(11, 15).reduce((total, ticks) => total + Number(ticks), 0) / ticksPerSecond;
}

async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1000;
}
