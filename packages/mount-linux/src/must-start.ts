import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { CodedError } from "@varve/errors";

/**
 * Waits until a program runs. To be called in the same turn as `spawn`, and before the pipes are touched: when this process
 * may open no more files there are none, and an error that nobody listens to ends the process.
 *
 * @param about for messages
 * @param needed what to install
 * @throws ERR_NOT_IMPLEMENTED there is no such program; what else keeps it from running, as EMFILE, passes as it is
 */
export async function mustStart(child: ChildProcess, about: string, needed: string): Promise<void> {
  try {
    await once(child, "spawn");
  } catch (cause) {
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (!isMissing) throw cause;
    const why = `needs the program ${needed}, which is not installed`;
    throw new CodedError("ERR_NOT_IMPLEMENTED", `${about}: ${why}`, { cause });
  }
}
