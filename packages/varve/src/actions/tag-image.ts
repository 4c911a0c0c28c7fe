import { formatReference, parseReference } from "@varve/reference";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { findImage } from "./find-image.ts";

export async function tagImage(reference: string, newName: string, { options, signal }: CommandRun): Promise<void> {
  const name = formatReference(parseReference(newName));
  const image = await withClient(options, async ({ images }) => {
    const { labels, target } = await findImage(images, reference, { signal });
    return images.put({ name, target, labels }, { signal });
  });
  await printResult(options.json, image, () => [image.name]);
}
