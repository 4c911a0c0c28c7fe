import { formatBytes, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

export async function listImages({ options, signal }: CommandRun): Promise<void> {
  const images = await withClient(options, (client) => Array.fromAsync(client.images.list({ signal })));
  await printResult(options.json, { images }, () =>
    formatTable([
      ["NAME", "MEDIA TYPE", "DIGEST", "UPDATED"],
      ...images.map(({ name, target, updatedAt }) => [name, target.mediaType, target.digest, updatedAt.toISOString()]),
    ]),
  );
}

export async function listContent({ options, signal }: CommandRun): Promise<void> {
  const { blobs, ingests } = await withClient(options, async ({ content }) => ({
    blobs: await Array.fromAsync(content.walk({ signal })),
    ingests: await Array.fromAsync(content.statuses({ signal })),
  }));
  await printResult(options.json, { blobs, ingests }, () =>
    formatTable([
      ["STATE", "SIZE", "NAME"],
      ...blobs.map(({ digest, size }) => ["blob", formatBytes(size), digest]),
      ...ingests.map(({ ref, offset }) => ["ingest", formatBytes(offset), ref]),
    ]),
  );
}
