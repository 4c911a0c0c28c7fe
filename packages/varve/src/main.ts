import { describeError, isTransient } from "@varve/errors";
import { CommanderError } from "commander";
import { exitCodeOf, exitCodes } from "./exit-code.ts";
import { ignoreClosedPipe } from "./output.ts";
import { createProgram } from "./program.ts";
import { interruptible } from "./signals.ts";

ignoreClosedPipe();
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const interrupt = interruptible();
  try {
    await createProgram(interrupt.signal).parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // Commander has printed what is wrong, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    process.stderr.write(`varve: ${oneLine(error)}\n`);
    return interrupt.signal.aborted ? exitCodes.interrupted : exitCodeOf(error);
  } finally {
    interrupt.stop();
  }
}

/** What a registry or an image put into a message must not steer the terminal. */
function oneLine(error: unknown): string {
  const text = describeError(error).replaceAll(/[\u0000-\u001F\u007F-\u009F]/g, "?");
  return isTransient(error) ? `${text} (trying again may help)` : text;
}
