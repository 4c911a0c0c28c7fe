import { readFile, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import type { Client } from "@varve/client";
import { codeOf } from "../faults/codes.ts";

/** What a pull that has failed may not leave in its store, a line each. */
export async function leftovers(client: Client): Promise<string[]> {
  const lines: string[] = [];
  for await (const { kind, name } of (await client.snapshotter()).walk()) {
    if (kind !== "committed") lines.push(`${kind} snapshot ${name}`);
  }
  for await (const { ref } of client.content.statuses()) {
    if (await isHeld(client, ref)) lines.push(`held ingest ${ref}`);
  }
  for await (const { id } of client.leases.list()) lines.push(`lease ${id}`);
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  lines.push(...mounts.filter((line) => line.includes(`${client.root}/`)).map((line) => `mount ${line}`));
  lines.push(...(await readdir(join(client.root, "mounts")).catch(() => [])).map((name) => `mount point ${name}`));
  return lines;
}

/** What nobody writes may be continued; it is no leftover. */
async function isHeld(client: Client, ref: string): Promise<boolean> {
  try {
    await (await client.content.writer(ref)).close();
    return false;
  } catch (error) {
    if (codeOf(error) === "ERR_UNAVAILABLE") return true;
    throw error;
  }
}

/** The threads that live, and what else a process holds. */
export class ProcessWatch {
  readonly workers: Set<Worker> = new Set();
  readonly rejections: unknown[] = [];
  readonly #onWorker = (worker: Worker): void => {
    this.workers.add(worker);
    worker.on("exit", () => this.workers.delete(worker));
  };
  readonly #onRejection = (reason: unknown): void => void this.rejections.push(reason);

  start(): void {
    process.on("worker", this.#onWorker);
    process.on("unhandledRejection", this.#onRejection);
  }

  stop(): void {
    process.off("worker", this.#onWorker);
    process.off("unhandledRejection", this.#onRejection);
  }

  /** Open sockets of this process, both ends of those to a server in it. */
  async sockets(): Promise<number> {
    const targets = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
    return (await Promise.all(targets)).filter((target) => target.startsWith("socket:")).length;
  }
}
