import type { ChildProcess } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { copyImage, makeImage, withImage } from "./disk-image.ts";
import type { CutFlag, Disk } from "./disk-image.ts";
import { differences, diskUse } from "./disk.ts";
import { kindsOf } from "./recording.ts";
import type { Kind } from "./recording.ts";
import { changingCalls } from "./system-call.ts";
import { Crew } from "./victim.ts";
import type { Outcome, Thread, Trace } from "./victim.ts";

/** When the power goes: so many milliseconds after the work has begun, or right before the n-th call of a kind. */
export interface Cut {
  readonly flag: CutFlag;
  readonly when: number | { readonly thread: Thread; readonly name: string; readonly n: number };
}

/** Cuts the power while a process works on a store, which has a disk of its own. */
export class PowerLab {
  readonly #base: string;
  readonly #crew: Crew;
  readonly #image: string;
  #expected: string[] = [];

  constructor(scenario: string, base: string) {
    this.#base = base;
    this.#crew = new Crew(scenario, base);
    this.#image = join(base, "seeded.img");
  }

  /** Tells how many milliseconds the work takes, and its calls. */
  async prepare(): Promise<{ duration: number; kinds: Kind[] }> {
    await makeImage(this.#image);
    await this.#mounted(this.#image, "seed", (root) => this.#crew.seed(root));
    const duration = await this.#onCopy("fresh", async (root) => {
      let startedAt = 0;
      const outcome = await this.#crew.work(root, { onStart: () => void (startedAt = performance.now()) });
      const took = performance.now() - startedAt;
      const problems = await this.#crew.finish(root, { acknowledged: outcome.steps, after: "none" });
      if (problems.length > 0) throw new Error(`without a cut: ${problems.join("\n")}`);
      this.#expected = diskUse(root);
      return took;
    });
    const trace = { calls: changingCalls, log: join(this.#base, "record.strace") };
    const kinds = await this.#onCopy("record", async (root) => kindsOf(await this.#crew.work(root, { trace })));
    return { duration, kinds };
  }

  /** Says what was wrong, and how far the process had come. */
  cut(
    place: string,
    { flag, when }: Cut,
  ): Promise<{ problems: string[]; steps: readonly string[]; done: readonly string[]; end: Outcome["end"] }> {
    return this.#onCopy(place, async (root, disk) => {
      const cutPower = await disk.arm();
      const over = new AbortController();
      // What a process says after this moment, no process could have said on a machine without power.
      const steps: string[] = [];
      let isOn = true;
      const onStep = (step: string): void => {
        if (isOn) steps.push(step);
      };
      let cutting: Promise<void> | undefined;
      const onStart = (child: ChildProcess): void => {
        const cut = async (): Promise<void> => {
          await (typeof when === "number" ? sleep(when) : stopped(child.pid, over.signal));
          isOn = false;
          await cutPower(flag);
        };
        cutting = cut().finally(() => child.kill("SIGKILL"));
      };
      const { end, steps: done } = await this.#crew.work(root, { trace: this.#trace(place, when), onStart, onStep });
      over.abort();
      await cutting;
      await disk.restart();
      const problems = await this.#crew.finish(root, { acknowledged: steps, done, after: "power" });
      problems.push(...differences(diskUse(root), this.#expected));
      return { end, steps, done, problems };
    });
  }

  #trace(place: string, when: Cut["when"]): Trace | undefined {
    if (typeof when === "number") return undefined;
    const { thread, name, n } = when;
    return {
      thread,
      calls: changingCalls,
      inject: `${name}:signal=SIGSTOP:when=${n}`,
      log: join(this.#base, `${place}.strace`),
    };
  }

  async #onCopy<T>(place: string, use: (root: string, disk: Disk) => Promise<T>): Promise<T> {
    const image = join(this.#base, `${place}.img`);
    await copyImage(this.#image, image);
    return this.#mounted(image, place, use);
  }

  #mounted<T>(image: string, place: string, use: (root: string, disk: Disk) => Promise<T>): Promise<T> {
    return withImage(image, join(this.#base, place), (disk) => use(join(disk.path, "store"), disk));
  }
}

/** Resolves when a process was stopped by a signal, or has ended. A thread that strace looks at is never seen so. */
async function stopped(pid: number | undefined, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const states = await Promise.all((await threadsOf(pid)).map((id) => stateOf(`/proc/${pid}/task/${id}/stat`)));
    // What it had said by then is heard within milliseconds.
    if (states.includes("T")) return sleep(10);
    await sleep(2);
  }
}

async function threadsOf(pid: number | undefined): Promise<string[]> {
  return readdir(`/proc/${pid}/task`).catch(() => []);
}

async function stateOf(path: string): Promise<string> {
  const stat = await readFile(path, "latin1").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}
