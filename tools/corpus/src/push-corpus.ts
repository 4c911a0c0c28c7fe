import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Corpus } from "./corpus.ts";
import { exec } from "./shell.ts";

/** Pushes each image in the forms that images have in the wild. Tags: the form of the manifest, then the compression. */
export async function pushCorpus(corpus: Corpus, host: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "varve-push-"));
  try {
    for (const [name, layout] of Object.entries(corpus) as [string, string][]) {
      const push = (from: string, tag: string, ...options: string[]): Promise<unknown> =>
        copy(`oci:${from}:latest`, `docker://${host}/${name}:${tag}`, "--dest-tls-verify=false", ...options);
      await push(layout, "oci-gzip", "--format", "oci");
      await push(layout, "docker-gzip", "--format", "v2s2");
      // Compressed on the way to a registry that has the gzip layers, they would be taken for the same and kept.
      const zstd = join(work, name);
      await copy(`oci:${layout}:latest`, `oci:${zstd}:latest`, "--dest-compress-format", "zstd");
      await push(zstd, "oci-zstd", "--preserve-digests");
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function copy(from: string, to: string, ...options: string[]): Promise<void> {
  await exec("skopeo", ["copy", "-q", ...options, from, to]);
}
