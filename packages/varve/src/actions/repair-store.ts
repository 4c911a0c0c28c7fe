import type { RepairReport } from "@varve/client";
import { CodedError, describeError } from "@varve/errors";
import { formatCount } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { createBytesView } from "../progress/bytes-view.ts";
import type { CheckOptions } from "./check-store.ts";
import { problemLine } from "./check-store.ts";

/** Ends with 5 if something could not be put right; images that have to be pulled again are part of the result. */
export async function repairStore({ options, signal }: CommandRun<CheckOptions>): Promise<void> {
  const view = createBytesView("checked", options.progress);
  const { pullAgain, repairs } = await withClient(options, async (client) => {
    try {
      return await client.repair({ contents: options.quick !== true, signal, onProgress: view.onBytes });
    } finally {
      view.finish();
    }
  });
  const told = repairs.map((repair) => ({
    ...repair,
    error: repair.error === undefined ? undefined : describeError(repair.error),
  }));
  await printResult(options.json, { repairs: told, pullAgain }, () => lines({ repairs: told, pullAgain }));
  const failed = told.filter(({ error }) => error !== undefined);
  if (failed.length > 0) throw new CodedError("ERR_DATA_LOSS", `store: ${formatCount(failed.length, "repair")} failed`);
}

function lines({ pullAgain, repairs }: RepairReport): string[] {
  if (repairs.length === 0) return ["nothing to repair"];
  return [
    ...repairs.flatMap(({ problem, action, error }) => [
      problemLine(problem),
      `  ${action}${error === undefined ? "" : `: failed: ${describeError(error)}`}`,
    ]),
    ...pullAgain.map((name) => `pull again: ${name}`),
  ];
}
