import { spawn } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec, missingPrograms } from "@varve-tools/corpus";

/** One containerd, with its client beside it. */
export interface Containerd {
  readonly daemon: string;
  readonly client: string;
  readonly version: string;
}

export interface DaemonOptions {
  /** Where it keeps everything. */
  readonly root: string;
  /** The helper for gunzip that it may find. Default: it has Go's own only. */
  readonly gunzip?: string | undefined;
  /** What unpacks a pull. Default: `overlayfs`. */
  readonly snapshotter?: string | undefined;
  /** Has it go without a content store of its own. Default: false. */
  readonly isContentOff?: boolean | undefined;
  /** Further stanzas of its configuration. */
  readonly configuration?: string | undefined;
}

export interface RunningDaemon {
  readonly pid: number;
  /** The command that speaks to it. */
  readonly client: readonly string[];
  close(): Promise<void>;
}

/** The containerd in the PATH, and the one that `VARVE_BENCH_CONTAINERD` names. */
export async function findContainerds(): Promise<readonly Containerd[]> {
  const named = process.env["VARVE_BENCH_CONTAINERD"];
  const missing = await missingPrograms(["containerd", "ctr"]);
  const installed = missing.length > 0 ? [] : [await pathOf("containerd")];
  const daemons = [...installed, ...(named === undefined ? [] : [named])];
  return Promise.all(
    daemons.map(async (daemon) => {
      const { stdout } = await exec(daemon, ["--version"]);
      const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "";
      return { daemon, client: join(dirname(daemon), "ctr"), version };
    }),
  );
}

/** Starts a daemon of its own, and waits until it answers. */
export async function startDaemon(containerd: Containerd, options: DaemonOptions): Promise<RunningDaemon> {
  const { root, gunzip } = options;
  await mkdir(join(root, "bin"), { recursive: true });
  if (gunzip !== undefined) await symlink(await pathOf(gunzip), join(root, "bin", gunzip));
  const socket = join(root, "sock");
  await writeFile(join(root, "config.toml"), configFor(socket, options));
  const daemon = spawn(containerd.daemon, ["-c", join(root, "config.toml"), "-l", "warn"], {
    env: { ...process.env, PATH: join(root, "bin") },
    stdio: "ignore",
  });
  const ended = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));
  const client = [containerd.client, "-a", socket];
  const close = async (): Promise<void> => {
    daemon.kill();
    await ended;
  };
  try {
    await answering(client);
    return { pid: daemon.pid ?? 0, client, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function pathOf(program: string): Promise<string> {
  const { stdout } = await exec("bash", ["-c", 'command -v "$1"', "bash", program]);
  return stdout.trim();
}

/** From 2.0 on the daemon pulls, for which it has to be told the snapshotter. */
function configFor(socket: string, options: DaemonOptions): string {
  const { root, snapshotter = "overlayfs", isContentOff = false, configuration = "" } = options;
  const off = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];
  if (isContentOff) off.push("io.containerd.content.v1.content");
  const platform = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;
  return `version = 2
root = "${root}/root"
state = "${root}/state"
disabled_plugins = ${JSON.stringify([...off, "io.containerd.internal.v1.opt"])}
[grpc]
  address = "${socket}"
[plugins."io.containerd.transfer.v1.local"]
  [[plugins."io.containerd.transfer.v1.local".unpack_config]]
    platform = "${platform}"
    snapshotter = "${snapshotter}"
${configuration}`;
}

async function answering([client = "", ...address]: readonly string[]): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answered = await exec(client, [...address, "version"]).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await sleep(50);
  }
  throw new Error("containerd: does not answer");
}
