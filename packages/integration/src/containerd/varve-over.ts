import { join } from "node:path";
import { missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import type { PullResult } from "@varve/client";
import { varve } from "../command.ts";
import type { CommandRun } from "../command.ts";
import { environment } from "../images-under-test.ts";
import { startContainerd } from "./started-containerd.ts";
import type { StartedContainerd } from "./started-containerd.ts";

const absent = await missingPrograms(["containerd", "ctr", "runc"]);

/** Why tests with a containerd cannot run here. */
export const missing: string | undefined =
  environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);

/** A containerd of its own, and varve over it. */
export interface VarveOver extends AsyncDisposable {
  /** For whatever a test needs; it goes with the rest. */
  readonly directory: string;
  readonly containerd: StartedContainerd;
  /** Runs the command in a namespace of the containerd, without progress. */
  readonly run: (
    namespace: string,
    args: readonly string[],
    onStart?: (kill: () => void) => void,
  ) => Promise<CommandRun>;
  /** Pulls, and fails unless that succeeds. */
  readonly pull: (namespace: string, reference: string) => Promise<PullResult>;
}

export async function startVarveOver(): Promise<VarveOver> {
  const directory = await temporaryDirectory();
  const containerd = await startContainerd({ directory: join(directory.path, "containerd") });
  const run: VarveOver["run"] = (namespace, args, onStart) => {
    const globals = ["--containerd", containerd.address, "--namespace", namespace, "--progress", "none"];
    return varve([...globals, ...args], onStart === undefined ? {} : { onStart });
  };
  return {
    directory: directory.path,
    containerd,
    run,
    pull: async (namespace, reference) => {
      const { status, stderr, stdout } = await run(namespace, ["pull", "--json", reference]);
      if (status !== 0) throw new Error(`varve pull ${reference}: ${status}: ${stderr}`);
      return JSON.parse(stdout) as PullResult;
    },
    [Symbol.asyncDispose]: async () => {
      await containerd.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}
