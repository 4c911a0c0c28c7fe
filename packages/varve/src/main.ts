import { describeError, isTransient } from "@varve/errors";
import { CommanderError } from "commander";
import { exitCodeOf, exitCodes } from "./exit-code.ts";
import { outliveReaders, printNote } from "./output.ts";
import { createProgram } from "./program.ts";
import { interruptible } from "./signals.ts";
import { hideSqliteWarning } from "./sqlite-warning.ts";

outliveReaders();
hideSqliteWarning();
process.exitCode = await main(process.argv.slice(2));
// A write that still waits for its reader would keep an interrupted process.
if (process.exitCode === exitCodes.interrupted && process.stdout.writableLength > 0) process.exit();

async function main(args: readonly string[]): Promise<number> {
  const interrupt = interruptible();
  try {
    await createProgram(interrupt.signal).parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // Commander has printed what is wrong, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const hint = isTransient(error) ? " (trying again may help)" : "";
    printNote(`varve: ${describeError(error)}${hint}`);
    return interrupt.signal.aborted ? exitCodes.interrupted : exitCodeOf(error);
  } finally {
    interrupt.stop();
  }
}
