import type { Command } from "commander";
import type { GlobalOptions } from "./globals.ts";

/** What a command does once its arguments are read. It is loaded when the command is run, so that none pays for another. */
export interface CommandRun<Own = object> {
  readonly options: GlobalOptions & Own;
  /** Aborts the command. */
  readonly signal: AbortSignal;
}

/** Gives the action of `command` what it is run with. */
export type Run = <Own>(command: Command) => CommandRun<Own>;
