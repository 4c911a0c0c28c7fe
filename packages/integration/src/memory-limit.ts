import { existsSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import type { Ran } from "@varve-tools/corpus";

/** A group of processes that together have no more than so much memory, the cached pages of files included. */
export interface MemoryLimit extends AsyncDisposable {
  run(command: string, args: readonly string[]): Promise<Ran>;
  /** How many processes of it were killed because there was no more memory. */
  kills(): Promise<number>;
}

interface Hierarchy {
  readonly root: string;
  readonly limit: string;
  readonly events: string;
}

const hierarchies: readonly Hierarchy[] = [
  { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", events: "memory.oom_control" },
  { root: "/sys/fs/cgroup", limit: "memory.max", events: "memory.events" },
];

/** @param skip called with the reason where the system has no control groups for us; it must throw */
export async function limitMemory(bytes: number, skip: (reason: string) => never): Promise<MemoryLimit> {
  for (const { events, limit, root } of hierarchies) {
    const path = join(root, `varve-${process.pid}-${bytes}`);
    try {
      await mkdir(path);
    } catch {
      continue;
    }
    if (existsSync(join(path, limit))) {
      await writeFile(join(path, limit), String(bytes));
      return new ControlGroup(path, events);
    }
    await rmdir(path);
  }
  return skip("no control group with a limit of memory can be made");
}

class ControlGroup implements MemoryLimit {
  readonly #path: string;
  readonly #events: string;

  constructor(path: string, events: string) {
    this.#path = path;
    this.#events = join(path, events);
  }

  run(command: string, args: readonly string[]): Promise<Ran> {
    const enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"';
    return exec("sh", ["-c", enter, this.#path, command, ...args]);
  }

  async kills(): Promise<number> {
    return Number(/^oom_kill (\d+)$/m.exec(await readFile(this.#events, "utf8"))?.[1]);
  }

  /** When all its processes are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rmdir(this.#path);
  }
}
