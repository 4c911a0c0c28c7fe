import type { Corpus } from "./corpus.ts";
import { exec } from "./shell.ts";

/** Pushes each image in the forms that images have in the wild. Tags: the form of the manifest, then the compression. */
export async function pushCorpus(corpus: Corpus, host: string): Promise<void> {
  for (const [name, layout] of Object.entries(corpus) as [string, string][]) {
    const push = (tag: string, ...options: string[]): Promise<unknown> => {
      const copy = ["copy", "-q", "--dest-tls-verify=false", ...options];
      return exec("skopeo", [...copy, `oci:${layout}:latest`, `docker://${host}/${name}:${tag}`]);
    };
    await push("oci-gzip", "--format", "oci");
    await push("oci-zstd", "--format", "oci", "--dest-compress-format", "zstd");
    await push("docker-gzip", "--format", "v2s2");
  }
}
