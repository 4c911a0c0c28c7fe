import { spawn } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec, missingPrograms } from "@varve-tools/corpus";
import type { Contender } from "./contender.ts";
import { measure } from "../measure.ts";

/** One containerd, with its client beside it. */
interface Containerd {
  readonly daemon: string;
  readonly client: string;
  readonly version: string;
}

/** The containerd in the PATH and the one that `VARVE_BENCH_CONTAINERD` names, with each gunzip that they would take. */
export async function containerdContenders(): Promise<Contender[]> {
  const named = process.env["VARVE_BENCH_CONTAINERD"];
  const missing = await missingPrograms(["containerd", "ctr", "igzip", "unpigz"]);
  const daemons = missing.includes("containerd") ? [] : [await pathOf("containerd")];
  const contenders = await Promise.all(
    [...daemons, ...(named === undefined ? [] : [named])].map(async (daemon) => {
      const { stdout } = await exec(daemon, ["--version"]);
      const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "";
      // Versions before 2.0 know unpigz only.
      const known = Number(version.split(".")[0]) >= 2 ? ["igzip", "unpigz"] : ["unpigz"];
      const containerd = { daemon, client: join(dirname(daemon), "ctr"), version };
      return withGunzips(
        containerd,
        known.filter((name) => !missing.includes(name)),
      );
    }),
  );
  return contenders.flat();
}

function withGunzips(containerd: Containerd, gunzips: readonly string[]): Contender[] {
  const name = `containerd ${containerd.version} overlay`;
  return [
    ...gunzips.map((gunzip) => contender({ name: `${name} ${gunzip}`, forms: ["gzip"] }, containerd, gunzip)),
    contender({ name: `${name} go`, forms: ["gzip"] }, containerd),
    contender({ name, forms: ["zstd", "plain"] }, containerd),
  ];
}

/** A daemon of its own for each run, with `gunzip` as the helper that it may find. */
function contender(what: Pick<Contender, "name" | "forms">, containerd: Containerd, gunzip?: string): Contender {
  return {
    ...what,
    takesManyLayers: true,
    async pull(reference, store) {
      const root = join(store, "containerd");
      await mkdir(join(root, "bin"), { recursive: true });
      if (gunzip !== undefined) await symlink(await pathOf(gunzip), join(root, "bin", gunzip));
      const socket = join(root, "sock");
      await writeFile(join(root, "config.toml"), configFor(root, socket));
      const daemon = spawn(containerd.daemon, ["-c", join(root, "config.toml"), "-l", "warn"], {
        env: { ...process.env, PATH: join(root, "bin") },
        stdio: "ignore",
      });
      const client = [containerd.client, "-a", socket];
      try {
        await answering(client);
        const options = ["--plain-http", "--snapshotter", "overlayfs"];
        return await measure([...client, "images", "pull", ...options, reference], {}, daemon.pid);
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

/** From 2.0 on the daemon pulls, for which it has to be told the snapshotter. */
function configFor(root: string, socket: string): string {
  const off = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];
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
    snapshotter = "overlayfs"
`;
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
