import type { ChildProcess } from "node:child_process";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { copyImage, copyWhileMounted, makeImage, withImage } from "./disk-image.ts";
import type { CutFlag, Disk, Filesystem } from "./disk-image.ts";
import { differences, diskUse } from "./disk.ts";
import { kindsOf } from "./recording.ts";
import type { Kind, Place } from "./recording.ts";
import { changingCalls } from "./system-call.ts";
import { Crew } from "./victim.ts";
import type { Outcome, Thread, Trace } from "./victim.ts";

/** When the power goes: so many milliseconds after the work has begun, or right before a call of a kind. */
export interface Cut {
  /** `copy`: the power stays on; the disk is copied while the process stands still, and the copy is all that there is then. */
  readonly flag: CutFlag | "copy";
  readonly when: number | ({ readonly thread: Thread; readonly name: string } & Place);
}

/** Cuts the power while a process works on a store, which has a disk of its own. */
export class PowerLab {
  readonly #base: string;
  readonly #crew: Crew;
  readonly #image: string;
  readonly #filesystem: Filesystem;
  #expected: string[] = [];
  #copies = 0;

  constructor(scenario: string, base: string, filesystem: Filesystem = "ext4") {
    this.#base = base;
    this.#filesystem = filesystem;
    this.#crew = new Crew(scenario, base);
    this.#image = join(base, "seeded.img");
  }

  /** Tells how many milliseconds the work takes, and its calls. */
  async prepare(): Promise<{ duration: number; kinds: Kind[] }> {
    await makeImage(this.#image, this.#filesystem);
    await this.#mounted(this.#image, join(this.#base, "seed"), (root) => this.#crew.seed(root));
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
      const power = await this.#prepareCut(disk, flag);
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
          if (flag === "copy" && child.kill("SIGSTOP")) await stopped(child.pid, over.signal);
          isOn = false;
          await power.cut();
        };
        cutting = cut().finally(() => child.kill("SIGKILL"));
      };
      const { end, steps: done } = await this.#crew.work(root, {
        trace: this.#trace(place, root, when),
        onStart,
        onStep,
      });
      over.abort();
      await cutting;
      await power.restart();
      const problems = await this.#crew.finish(root, { acknowledged: steps, done, after: "power" });
      problems.push(...differences(diskUse(root), this.#expected));
      return { end, steps, done, problems };
    }).catch((error: unknown) => {
      throw new Error(`cut ${JSON.stringify({ flag, when })} in ${place}`, { cause: error });
    });
  }

  async #prepareCut(disk: Disk, flag: Cut["flag"]): Promise<{ cut(): Promise<void>; restart(): Promise<void> }> {
    if (flag === "copy") {
      const copy = `${disk.image}-copy`;
      const cut = (): Promise<void> => copyWhileMounted(disk.image, copy);
      return { cut, restart: () => disk.restart(copy) };
    }
    const cutter = await disk.arm();
    return { cut: () => cutter(flag), restart: () => disk.restart() };
  }

  #trace(place: string, root: string, when: Cut["when"]): Trace | undefined {
    if (typeof when === "number") return undefined;
    const { thread, name, n, file } = when;
    return {
      thread,
      file: file === undefined ? undefined : join(root, file),
      calls: changingCalls,
      inject: `${name}:signal=SIGSTOP:when=${n}`,
      log: join(this.#base, `${place}.strace`),
    };
  }

  /** Each time in a directory of its own, and so on a file that no loop device of an earlier one can have. */
  async #onCopy<T>(place: string, use: (root: string, disk: Disk) => Promise<T>): Promise<T> {
    this.#copies += 1;
    const directory = join(this.#base, `${place}-${this.#copies}`);
    await mkdir(directory);
    const image = join(directory, "disk.img");
    await copyImage(this.#image, image);
    const result = await this.#mounted(image, join(directory, "disk"), use);
    await rm(directory, { recursive: true });
    return result;
  }

  #mounted<T>(image: string, path: string, use: (root: string, disk: Disk) => Promise<T>): Promise<T> {
    return withImage(image, path, (disk) => use(join(disk.path, "store"), disk));
  }
}

/** Resolves when a process was stopped by a signal, or has ended. A thread that strace looks at is never seen so. */
async function stopped(pid: number | undefined, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const states = await Promise.all((await threadsOf(pid)).map((id) => stateOf(`/proc/${pid}/task/${id}/stat`)));
    if (states.includes("T")) return heard();
    await sleep(2);
  }
}

/** What is in a pipe by now has been read after two turns: between them the event loop looks at everything that is open. */
async function heard(): Promise<void> {
  await turn();
  await turn();
}

async function threadsOf(pid: number | undefined): Promise<string[]> {
  return readdir(`/proc/${pid}/task`).catch(() => []);
}

async function stateOf(path: string): Promise<string> {
  const stat = await readFile(path, "latin1").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}
