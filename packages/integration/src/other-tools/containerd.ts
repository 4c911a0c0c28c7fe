import { spawn } from "node:child_process";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec } from "@varve-tools/corpus";
import { readTree } from "@varve-tools/hostile-layers";
import type { Tree } from "@varve-tools/hostile-layers";
import { xattrsOf } from "../hostile/xattrs-of.ts";

/** A containerd of its own, without network and without Kubernetes's plugin. */
export interface Containerd extends AsyncDisposable {
  /** Runs ctr in a namespace of the tests, and gives what it printed. */
  ctr(...args: readonly string[]): Promise<string>;
  /** The tree that one of its snapshotters shows of an image in an archive of OCI's form. */
  treeOf(archive: string, snapshotter: "native" | "overlayfs"): Promise<Tree>;
}

/** Starts containerd with everything it has in a directory. */
export async function startContainerd(directory: string): Promise<Containerd> {
  const address = join(directory, "containerd.sock");
  const config = join(directory, "config.toml");
  await writeFile(config, configFor(directory, address));
  const log = await open(join(directory, "log"), "a");
  const child = spawn("containerd", ["--config", config], { stdio: ["ignore", log.fd, log.fd] });
  await log.close();
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const ctr = async (...args: readonly string[]): Promise<string> =>
    (await exec("ctr", ["--address", address, "--namespace", "test", ...args])).stdout;
  await answering(ctr, () => child.exitCode !== null, join(directory, "log"));
  let count = 0;
  return {
    ctr,
    async treeOf(archive, snapshotter) {
      count += 1;
      const name = `localhost/image-${count}`;
      const target = join(directory, `mounted-${count}`);
      await mkdir(target);
      await ctr("images", "import", "--base-name", name, "--snapshotter", snapshotter, archive);
      const reference = `${name}:latest`;
      await ctr("images", "mount", "--snapshotter", snapshotter, reference, target);
      try {
        return readTree(target, xattrsOf);
      } finally {
        await ctr("images", "unmount", "--rm", "--snapshotter", snapshotter, target);
        await ctr("images", "rm", "--sync", reference);
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
    },
  };
}

async function answering(
  ctr: (...args: readonly string[]) => Promise<unknown>,
  isGone: () => boolean,
  log: string,
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await ctr("version");
      return;
    } catch (error) {
      if (isGone() || attempt > 300) throw new Error(`containerd: ${await readFile(log, "utf8")}`, { cause: error });
      await sleep(100);
    }
  }
}

function configFor(directory: string, address: string): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
address = "${address}"
[ttrpc]
address = "${address}.ttrpc"
`;
}
