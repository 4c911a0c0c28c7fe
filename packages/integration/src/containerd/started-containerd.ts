import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec } from "@varve-tools/corpus";
import { unmountBelow } from "./mounts-below.ts";

/** One of the `proxy_plugins`: something that is served on a socket. */
interface ProxyPlugin {
  readonly name: string;
  readonly type: "snapshot" | "content";
  readonly address: string;
}

export interface StartContainerdOptions {
  /** Of its own: everything it keeps is below; made if it is missing. */
  readonly directory: string;
  readonly proxies?: readonly ProxyPlugin[] | undefined;
  /** More plugins it does not load, by their ids. With a content proxy its own content store is always among them. */
  readonly disabled?: readonly string[] | undefined;
  /** More lines for the end of its configuration. */
  readonly config?: string | undefined;
}

export type Ctr = (...args: readonly string[]) => Promise<string>;

/** Debian's containerd with everything it has in a directory. */
export interface StartedContainerd extends AsyncDisposable {
  /** Path of its socket. */
  readonly address: string;
  /** Where it keeps what survives a restart. */
  readonly root: string;
  /** Runs ctr in the namespace `default`, and gives what it printed. */
  readonly ctr: Ctr;
  /** The same in another namespace. */
  ctrIn(namespace: string): Ctr;
  /** Has it collect its garbage, and waits for that. */
  collect(): Promise<void>;
  /** Starts it after `kill` or `stop`, and waits until it answers. */
  start(): Promise<void>;
  /** Ends it as systemd would. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** SIGKILL. Settles when it is gone. */
  kill(): Promise<void>;
  /** What it has logged so far, of all its lives. */
  log(): Promise<string>;
  /** Ends it, and takes off what is mounted below its directory. Closing twice is allowed. */
  close(): Promise<void>;
}

/** Starts one, and waits until it answers. */
export async function startContainerd(options: StartContainerdOptions): Promise<StartedContainerd> {
  await mkdir(options.directory, { recursive: true });
  const containerd = new Daemon(options);
  await containerd.start();
  return containerd;
}

class Daemon implements StartedContainerd {
  readonly address: string;
  readonly root: string;
  readonly ctr: Ctr;
  readonly #options: StartContainerdOptions;
  readonly #config: string;
  readonly #log: string;
  #child: ChildProcess | undefined;
  #count = 0;

  constructor(options: StartContainerdOptions) {
    const { directory } = options;
    this.#options = options;
    this.address = join(directory, "containerd.sock");
    this.root = join(directory, "root");
    this.#config = join(directory, "config.toml");
    this.#log = join(directory, "log");
    this.ctr = this.ctrIn("default");
  }

  ctrIn(namespace: string): Ctr {
    return async (...args) =>
      (await exec("ctr", ["--address", this.address, "--namespace", namespace, ...args])).stdout;
  }

  async collect(): Promise<void> {
    this.#count += 1;
    const id = `collect-${this.#count}`;
    await this.ctr("leases", "create", "--id", id);
    await this.ctr("leases", "delete", "--sync", id);
  }

  async start(): Promise<void> {
    await writeFile(this.#config, configFor(this.#options, this.address));
    const log = await open(this.#log, "a");
    const child = spawn("containerd", ["--config", this.#config], { stdio: ["ignore", log.fd, log.fd] });
    await log.close();
    this.#child = child;
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.ctr("version");
        return;
      } catch (error) {
        const isGone = child.exitCode !== null || child.signalCode !== null;
        if (isGone || attempt > 600) throw new Error(`containerd: ${await this.log()}`, { cause: error });
        await sleep(50);
      }
    }
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  log(): Promise<string> {
    return readFile(this.#log, "utf8");
  }

  async close(): Promise<void> {
    await this.stop();
    await unmountBelow(this.#options.directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

const unused = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt",
];

function configFor(
  { directory, proxies = [], disabled = [], config = "" }: StartContainerdOptions,
  address: string,
): string {
  // Its metadata wants exactly one content store.
  const replaced = proxies.some(({ type }) => type === "content") ? ["io.containerd.content.v1.content"] : [];
  const stanzas = proxies.map(
    (proxy) => `[proxy_plugins.${proxy.name}]\ntype = "${proxy.type}"\naddress = "${proxy.address}"\n`,
  );
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ${JSON.stringify([...unused, ...replaced, ...disabled])}
[grpc]
address = "${address}"
[ttrpc]
address = "${address}.ttrpc"
${stanzas.join("")}${config}
`;
}
