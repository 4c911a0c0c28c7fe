import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";

/** A podman that shares nothing with the machine's. */
export interface Podman extends AsyncDisposable {
  /** Runs it, and gives what it printed. */
  run(...args: readonly string[]): Promise<string>;
}

/** Has podman keep its images in a directory. */
export async function podmanIn(directory: string): Promise<Podman> {
  // It refuses a longer path than 50 characters here.
  const runtime = await mkdtemp("/tmp/varve-podman-");
  const places = [`--root=${join(directory, "podman")}`, `--runroot=${runtime}`];
  const fixed = ["--storage-driver=vfs", "--events-backend=none", "--cgroup-manager=cgroupfs"];
  return {
    run: async (...args) => (await exec("podman", [...places, ...fixed, ...args])).stdout.trim(),
    [Symbol.asyncDispose]: () => rm(runtime, { recursive: true, force: true }),
  };
}
