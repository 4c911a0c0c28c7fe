import type { ImageRecord } from "@varve/images";
import { withClient } from "../globals.ts";
import { printList } from "../output.ts";
import type { ListOptions } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

interface ListImagesOptions extends ListOptions {
  readonly filter?: readonly string[];
}

export async function listImages({ options, signal }: CommandRun<ListImagesOptions>): Promise<void> {
  const form = {
    key: "images",
    header: ["NAME", "MEDIA TYPE", "DIGEST", "UPDATED"],
    row: ({ name, target, updatedAt }: ImageRecord) => [name, target.mediaType, target.digest, updatedAt.toISOString()],
    name: ({ name }: ImageRecord) => name,
  };
  await printList(options, form, () =>
    withClient(options, ({ images }) => Array.fromAsync(images.list({ filters: options.filter, signal }))),
  );
}
