import { spawn } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec } from "@varve-tools/corpus";
import { measure } from "./measure.ts";
import type { Cost } from "./measure.ts";

/** Something that pulls and unpacks an image into an empty directory. */
export interface Contender {
  readonly name: string;
  pull(reference: string, store: string): Promise<Cost>;
}

const here = import.meta.dirname;
const varve = join(here, "../../../bin/varve");

export function varveContender(snapshotter: "overlay" | "native"): Contender {
  return {
    name: `varve ${snapshotter}`,
    pull: (reference, store) =>
      measure(
        [varve, "pull", "--progress=none", `--snapshotter=${snapshotter}`, `--root=${store}/varve`, reference],
        {},
      ),
  };
}

/** curl, a gunzip, sha256sum and tar: what the same work costs with the shell, without whiteouts, fsync or metadata. */
export function floorContender(gunzip: string, jobs: number): Contender {
  return {
    name: `floor ${gunzip} ${jobs === 1 ? "in turn" : `${jobs} at a time`}`,
    pull: (reference, store) =>
      measure(["bash", join(here, "floor.sh"), reference, `${store}/floor`], { GUNZIP: gunzip, JOBS: String(jobs) }),
  };
}

/** A containerd of its own for each run, with `gunzip` as the helper it may find. */
export function containerdContender(version: string, gunzip: string | undefined): Contender {
  return {
    name: `containerd ${version} overlay ${gunzip ?? "go"}`,
    async pull(reference, store) {
      const root = join(store, "containerd");
      await mkdir(join(root, "bin"), { recursive: true });
      if (gunzip !== undefined) {
        await symlink(await pathOf(gunzip), join(root, "bin", gunzip));
      }
      const socket = join(root, "sock");
      await writeFile(join(root, "config.toml"), configFor(root, socket));
      // Its PATH holds the helper alone, so that it can find no other.
      const daemon = spawn(await pathOf("containerd"), ["-c", join(root, "config.toml"), "-l", "warn"], {
        env: { ...process.env, PATH: join(root, "bin") },
        stdio: "ignore",
      });
      try {
        await answering(socket);
        const pull = ["ctr", "-a", socket, "images", "pull", "--plain-http", "--snapshotter", "overlayfs", reference];
        return await measure(pull, {}, daemon.pid);
      } finally {
        daemon.kill();
        await new Promise((resolve) => daemon.once("exit", resolve));
      }
    },
  };
}

async function pathOf(program: string): Promise<string> {
  const { stdout } = await exec("bash", ["-c", 'command -v "$1"', "bash", program]);
  return stdout.trim();
}

function configFor(root: string, socket: string): string {
  const off = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];
  return `version = 2
root = "${root}/root"
state = "${root}/state"
disabled_plugins = ${JSON.stringify([...off, "io.containerd.internal.v1.opt"])}
[grpc]
  address = "${socket}"
`;
}

async function answering(socket: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answered = await exec("ctr", ["-a", socket, "version"]).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await sleep(50);
  }
  throw new Error("containerd: does not answer");
}
