import type { LayerModel } from "./layer-model.ts";
import type { Answer, Operation } from "./layer-operation.ts";

/** One call, and its answer unless it was interrupted. */
export interface Call {
  readonly operation: Operation;
  readonly answer: Answer | undefined;
}

/** A state on the way, and what each call has been answered so far. */
interface Way {
  readonly model: LayerModel;
  readonly answers: readonly (Answer | undefined)[];
  /** Parts of each call that are done. */
  readonly done: readonly number[];
}

/**
 * All states that calls at the same time may lead to, in whatever order their parts come, as far as the answers fit. A call without
 * an answer may have been interrupted before any part of it.
 *
 * @param killed stores whose process has died meanwhile
 */
export function outcomesOf(
  model: LayerModel,
  calls: readonly Call[],
  killed: readonly number[],
): readonly LayerModel[] {
  const start: Way = { model, answers: calls.map(() => undefined), done: calls.map(() => 0) };
  return waysFrom(start, calls).flatMap((way) => {
    const fits = calls.every(({ answer }, at) => answer === undefined || way.answers[at] === answer);
    if (!fits) return [];
    const outcome = way.model.clone();
    outcome.state.endStores(killed);
    return [outcome];
  });
}

function waysFrom(way: Way, calls: readonly Call[]): readonly Way[] {
  const further = calls.flatMap(({ operation }, at) => {
    if (way.answers[at] !== undefined) return [];
    return waysFrom(step(way, operation, at), calls);
  });
  return [way, ...further];
}

/** The next part of one call. */
function step({ answers, done, model }: Way, operation: Operation, at: number): Way {
  const next = model.clone();
  const answer = done[at] === 0 ? next.begin(operation) : next.end(operation);
  return { model: next, answers: answers.with(at, answer), done: done.with(at, (done[at] ?? 0) + 1) };
}
