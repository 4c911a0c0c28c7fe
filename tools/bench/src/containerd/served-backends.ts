import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { DaemonOptions } from "../containerd-daemon.ts";
import type { InstalledVarve } from "../pull/installed-varve.ts";

/** `varve containerd serve`, ready. */
export interface ServedBackends {
  readonly pid: number;
  /** What makes containerd use them. */
  configuration(use: {
    readonly snapshotter: string;
    readonly content: boolean;
  }): Pick<DaemonOptions, "configuration" | "isContentOff">;
  close(): Promise<void>;
}

/** Serves the backends of a directory beside that of containerd's. */
export async function serveBackends(varve: InstalledVarve, root: string): Promise<ServedBackends> {
  const address = join(root, "varve.sock");
  const [program, ...args] = [...varve.command, "containerd", "serve", "--address", address];
  const child = spawn(program, [...args, "--root", join(root, "varve")], {
    env: { ...process.env, ...varve.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  // Its first line says that it is ready.
  await Promise.race([once(child.stdout, "data"), ended.then(() => Promise.reject(new Error("varve: did not start")))]);
  return {
    pid: child.pid ?? 0,
    configuration: ({ snapshotter, content }) => ({
      isContentOff: content,
      configuration: [
        proxy(snapshotter, "snapshot", address),
        ...(content ? [proxy("varve-content", "content", address)] : []),
      ].join(""),
    }),
    async close() {
      child.kill();
      await ended;
    },
  };
}

function proxy(name: string, type: string, address: string): string {
  return `[proxy_plugins.${name}]
  type = "${type}"
  address = "${address}"
`;
}
