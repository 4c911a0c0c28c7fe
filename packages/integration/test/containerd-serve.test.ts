import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { expect, test } from "vitest";
import { launcher } from "../src/command.ts";
import { noRecords, recordsOf } from "../src/containerd/records.ts";
import { startContainerd } from "../src/containerd/started-containerd.ts";
import { missing } from "../src/containerd/varve-over.ts";
import { environment } from "../src/images-under-test.ts";

test.skipIf(missing !== undefined)(
  "varve containerd serve gives a containerd its content store and snapshotters, and ends cleanly on SIGTERM (P-ACC.1, P-ACC.6)",
  async () => {
    await using directory = await temporaryDirectory();
    const address = join(directory.path, "varve.sock");
    const root = join(directory.path, "store");
    const child = spawn(launcher, ["containerd", "serve", "--address", address, "--root", root], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const closed = once(child, "close");
    let faults = "";
    child.stderr.on("data", (chunk: Buffer) => (faults += chunk.toString()));
    try {
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const expected = `serving content, varve-overlay, varve-native of ${root}/containerd on ${address}\n`;
      expect(line.toString()).toBe(expected);
      await using containerd = await startContainerd({
        directory: join(directory.path, "containerd"),
        proxies: [
          { name: "varve-overlay", type: "snapshot", address },
          { name: "varve-native", type: "snapshot", address },
          { name: "varve-content", type: "content", address },
        ],
      });
      const { ctr } = containerd;
      const reference = `${environment.registry}/app:oci-gzip`;
      for (const name of ["varve-overlay", "varve-native"]) {
        await ctr("images", "pull", "--plain-http", "--snapshotter", name, reference);
        const command = ["--rm", "--net-host", "--snapshotter", name, reference, name, "cat", "/etc/os-release"];
        expect(await ctr("run", ...command)).toContain("ID=debian");
      }
      await ctr("images", "rm", "--sync", reference);
      expect(await recordsOf(ctr, "varve-overlay")).toEqual(noRecords);
      expect(await recordsOf(ctr, "varve-native")).toEqual(noRecords);
      expect(faults).not.toContain("containerd.services");
    } finally {
      child.kill("SIGTERM");
      await closed;
    }
    expect(child.exitCode).toBe(0);
  },
);
