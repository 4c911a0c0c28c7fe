import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const program = join(import.meta.dirname, "plugin-child.ts");

/** A process that serves our snapshotters from a directory. */
export interface PluginProcess extends AsyncDisposable {
  /** Settles when it serves. */
  start(): Promise<void>;
  /** SIGKILL. Settles when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM. Says how it ended: 0 if no call failed by its fault. */
  stop(): Promise<number | null>;
}

export async function startPluginProcess(directory: string): Promise<PluginProcess> {
  const plugin = new Plugin(directory);
  await plugin.start();
  return plugin;
}

class Plugin implements PluginProcess {
  readonly #directory: string;
  #child: ChildProcess | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async start(): Promise<void> {
    const env = { ...process.env, NODE_COMPILE_CACHE: join(this.#directory, "compiled") };
    const child = spawn(process.execPath, [program, this.#directory], { env, stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    const [line] = await Promise.race([once(createInterface(child.stdout), "line"), once(child, "exit")]);
    if (line !== "ready") throw new Error(`plugin: ended with ${String(line)}`);
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  }
}
