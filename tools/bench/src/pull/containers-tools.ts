import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { exec, missingPrograms } from "@varve-tools/corpus";
import type { Contender } from "./contender.ts";
import { measure } from "../measure.ts";

/** podman, and skopeo with umoci, as far as they are installed. */
export async function containersToolsContenders(): Promise<Contender[]> {
  const missing = await missingPrograms(["podman", "skopeo", "umoci"]);
  return [
    ...(missing.includes("podman") ? [] : [podman(await versionOf("podman"))]),
    ...(missing.includes("skopeo") || missing.includes("umoci") ? [] : [skopeoAndUmoci(await versionOf("umoci"))]),
  ];
}

/** With a store of its own; blobs on their way go to the same file system. */
function podman(version: string): Contender {
  return {
    name: `podman ${version} overlay`,
    takesManyLayers: false,
    async pull(reference, store) {
      const own = join(store, "podman");
      const TMPDIR = join(own, "tmp");
      await mkdir(TMPDIR, { recursive: true });
      const storage = ["--root", join(own, "root"), "--runroot", join(own, "run"), "--storage-driver", "overlay"];
      const options = [...storage, "--events-backend", "none"];
      return measure(["podman", ...options, "pull", "-q", "--tls-verify=false", reference], { TMPDIR });
    },
  };
}

const copyAndUnpack = `
skopeo copy -q --dest-oci-accept-uncompressed-layers --src-tls-verify=false "docker://$1" "oci:$2/layout:latest"
umoci unpack --image "$2/layout:latest" "$2/bundle"
`;

/** One tree for all layers, instead of one a layer. */
function skopeoAndUmoci(version: string): Contender {
  return {
    name: `skopeo + umoci ${version}`,
    // Not zstd: "blob is not correct mediatype".
    forms: ["gzip", "plain"],
    takesManyLayers: true,
    async pull(reference, store) {
      const own = join(store, "umoci");
      await mkdir(own);
      return measure(["bash", "-euo", "pipefail", "-c", copyAndUnpack, "bash", reference, own], {});
    },
  };
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await exec(program, ["--version"]);
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "";
}
