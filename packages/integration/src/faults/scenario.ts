/** One piece of work on a store. Doing it again, after it was done or half done, must come to the same. */
export interface Step<World> {
  readonly name: string;
  run(world: World): Promise<void>;
  /** Throws unless the step has been done. */
  check(world: World): Promise<void>;
  /** The step whose result is gone after this one. */
  readonly undoes?: string | undefined;
  /** A power cut may take it back. Default: false. */
  readonly volatile?: boolean | undefined;
}

/** What happened to the store, or to the process that worked on it. A store may be open for `work` before and after. */
export type Fault = "none" | "kill" | "power";

/** What a process does to a store until it is killed, and what must be true of the store then. */
export interface Story<World> {
  /** Makes what is in the store before, and must be there after everything. */
  seed(root: string): Promise<void>;
  open(root: string, after: Fault): Promise<World>;
  close(world: World): Promise<void>;
  readonly steps: readonly Step<World>[];
  /** Throws what must never be seen at any moment: half of something, a seed that has changed. */
  sound(world: World): Promise<void>;
  /** Gives the store the chance to remove what nobody needs. */
  settle(world: World): Promise<void>;
}

/** How far somebody got with a store, and what happened then. */
export interface History {
  /** The steps that were acknowledged, and must have been done. */
  readonly acknowledged: readonly string[];
  /** The steps that may have been done: these, and the one after the last of them. Default: those acknowledged. */
  readonly done?: readonly string[] | undefined;
  readonly after: Fault;
}

/** A story as a process runs it. */
export interface Scenario {
  seed(root: string): Promise<void>;
  /** Tells the name of each step when it is acknowledged: `open`, those of the story, `close`. */
  work(root: string, tell: (step: string) => void): Promise<void>;
  /** Looks at what became of a store, does all the work, and looks again. Says what is wrong. */
  finish(root: string, history: History): Promise<string[]>;
}

export function scenarioOf<World>(story: Story<World>): Scenario {
  return {
    seed: (root) => story.seed(root),
    work: (root, tell) => work(story, root, tell),
    finish: (root, history) => finish(story, root, history),
  };
}

async function work<World>(story: Story<World>, root: string, tell: (step: string) => void): Promise<void> {
  const world = await story.open(root, "none");
  tell("open");
  try {
    for (const step of story.steps) {
      await step.run(world);
      tell(step.name);
    }
  } finally {
    await story.close(world);
  }
  tell("close");
}

async function finish<World>(story: Story<World>, root: string, history: History): Promise<string[]> {
  const { acknowledged, done = acknowledged, after } = history;
  const problems: string[] = [];
  const attempt = async (what: string, call: () => Promise<void>): Promise<void> => {
    try {
      await call();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  };
  const world = await story.open(root, after);
  const inspect = async (when: string, steps: readonly Step<World>[]): Promise<void> => {
    await attempt(`${when}, the store`, () => story.sound(world));
    for (const step of steps) await attempt(`${when}, step ${step.name}`, () => step.check(world));
  };
  const known = lasting(story.steps, acknowledged, done);
  await inspect(
    "after the fault",
    known.filter(({ volatile }) => after !== "power" || volatile !== true),
  );
  for (const step of story.steps) await attempt(`doing ${step.name} again`, () => step.run(world));
  await attempt("settling", () => story.settle(world));
  const all = story.steps.map(({ name }) => name);
  await inspect("in the end", lasting(story.steps, all, all));
  await story.close(world);
  return problems;
}

/** The steps that were acknowledged, and whose result nobody may have begun to remove. */
function lasting<World>(
  steps: readonly Step<World>[],
  acknowledged: readonly string[],
  done: readonly string[],
): Step<World>[] {
  const begun = steps.slice(0, 1 + steps.findLastIndex(({ name }) => done.includes(name)) + 1);
  const undone = new Set(begun.map(({ undoes }) => undoes));
  return steps.filter(({ name }) => acknowledged.includes(name) && !undone.has(name));
}
