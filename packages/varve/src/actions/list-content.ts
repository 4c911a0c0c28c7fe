import type { BlobInfo, IngestStatus } from "@varve/content";
import { formatAge, formatBytes, formatLabels } from "../format.ts";
import { withClient } from "../globals.ts";
import { printList } from "../output.ts";
import type { ListOptions } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

interface ListContentOptions extends ListOptions {
  readonly filter?: readonly string[];
}

export async function listContent({ options, signal }: CommandRun<ListContentOptions>): Promise<void> {
  const form = {
    key: "blobs",
    header: ["DIGEST", "SIZE", "CREATED", "LABELS"],
    row: ({ digest, size, createdAt, labels }: BlobInfo) => [
      digest,
      formatBytes(size),
      createdAt.toISOString(),
      formatLabels(labels),
    ],
    name: ({ digest }: BlobInfo) => digest,
  };
  await printList(options, form, () =>
    withClient(options, ({ content }) => Array.fromAsync(content.walk({ filters: options.filter, signal }))),
  );
}

/** With size and age, so that what waits to be continued is no riddle (G-40). */
export async function listIngests({ options, signal }: CommandRun<ListContentOptions>): Promise<void> {
  const now = Date.now();
  const form = {
    key: "ingests",
    header: ["REF", "SIZE", "OF", "AGE", "LAST WRITE"],
    row: ({ ref, offset, total, startedAt, updatedAt }: IngestStatus) => [
      ref,
      formatBytes(offset),
      total === undefined ? "-" : formatBytes(total),
      formatAge(now - startedAt.getTime()),
      updatedAt.toISOString(),
    ],
    name: ({ ref }: IngestStatus) => ref,
  };
  await printList(options, form, () =>
    withClient(options, ({ content }) => Array.fromAsync(content.statuses({ filters: options.filter, signal }))),
  );
}
