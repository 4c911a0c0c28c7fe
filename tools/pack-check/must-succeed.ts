import { execute } from "../shared/execute.ts";
import type { ExecuteOptions } from "../shared/execute.ts";

/** Runs a command without which nothing more can be checked; resolves to its output. */
export async function mustSucceed(command: string, args: readonly string[], options?: ExecuteOptions): Promise<string> {
  const result = await execute(command, args, options);
  if (!result.ok) throw new Error(`${command} ${args.join(" ")}: ${result.status}\n${result.output}`);
  return result.output;
}
