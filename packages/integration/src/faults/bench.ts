import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { differences, diskUse } from "./disk.ts";
import { kindsOf } from "./recording.ts";
import type { Kind } from "./recording.ts";
import type { Fault, History } from "./scenario.ts";
import { changingCalls } from "./system-call.ts";
import { Crew } from "./victim.ts";
import type { Outcome, WorkOptions } from "./victim.ts";

/** A seeded store, of which each fault gets a copy. */
export class Bench {
  readonly crew: Crew;
  readonly #base: string;
  readonly #template: string;
  #expected: string[] = [];

  constructor(scenario: string, base: string) {
    this.crew = new Crew(scenario, base);
    this.#base = base;
    this.#template = join(base, "template");
  }

  /** Does the work without a fault, and tells which calls it is made of. */
  async prepare(): Promise<Kind[]> {
    await this.crew.seed(this.#template);
    const fresh = await this.copy("fresh");
    const problems = await this.crew.finish(fresh, { acknowledged: [], after: "none" });
    if (problems.length > 0) throw new Error(`without a fault: ${problems.join("\n")}`);
    this.#expected = diskUse(fresh);
    const root = await this.copy("record");
    const outcome = await this.crew.work(root, { trace: this.trace("record") });
    if (outcome.end !== "done") throw new Error(`without a fault: ${outcome.end}: ${outcome.failure?.stack}`);
    return kindsOf(outcome);
  }

  /** Makes a new copy of the seeded store. */
  async copy(place: string): Promise<string> {
    const root = this.root(place);
    await rm(root, { recursive: true, force: true });
    await mkdir(join(this.#base, place), { recursive: true });
    // With hard links, extended attributes and times.
    await exec("cp", ["-a", this.#template, root]);
    return root;
  }

  root(place: string): string {
    return join(this.#base, place, "store");
  }

  trace(place: string): { readonly calls: string; readonly log: string } {
    return { calls: changingCalls, log: join(this.#base, `${place}.strace`) };
  }

  /** Lets a process work on a copy with a fault, and another one do the work again. Says what is wrong then. */
  async run(place: string, options: WorkOptions, after: Fault): Promise<{ outcome: Outcome; problems: string[] }> {
    const root = await this.copy(place);
    const outcome = await this.crew.work(root, options);
    return { outcome, problems: await this.finish(root, { acknowledged: outcome.steps, after }) };
  }

  async finish(root: string, history: History): Promise<string[]> {
    const problems = await this.crew.finish(root, history);
    problems.push(...differences(diskUse(root), this.#expected));
    return problems;
  }
}
