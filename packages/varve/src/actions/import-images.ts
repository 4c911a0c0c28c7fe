import { stat } from "node:fs/promises";
import type { ImportedImage } from "@varve/client";
import type { CommandRun } from "../command-run.ts";
import { withClient } from "../globals.ts";
import { printNote, printResult } from "../output.ts";
import { createProgressView } from "../progress/progress-view.ts";
import { checkUsage } from "./check-usage.ts";
import { readFileBytes } from "./layer-source.ts";

interface ImportOptions {
  readonly name?: string;
  readonly maxBytes?: number;
}

export async function importImages(source: string, { options, signal }: CommandRun<ImportOptions>): Promise<void> {
  const { maxBytes, name } = options;
  if (name !== undefined) checkUsage(name, undefined);
  const from = (await isDirectory(source)) ? source : readFileBytes("archive", source);
  const view = createProgressView(options.progress, { rows: "blobs", intervalMs: options.progressInterval });
  const images = await withClient(options, (client) =>
    client.import(from, { name, maxBytes, onProgress: view.onProgress, signal }),
  ).finally(() => view.finish());
  await printResult(options.json, { images }, () => images.flatMap(lines));
  if (options.progress !== "none" && images.some(({ names }) => names.length === 0)) {
    printNote("an image without a name goes with the next varve gc: import it with --name, or tag it");
  }
}

function lines({ names, target }: ImportedImage): string[] {
  return names.length === 0 ? [`- ${target.digest}`] : names.map((name) => `${name} ${target.digest}`);
}

async function isDirectory(path: string): Promise<boolean> {
  if (path === "-") return false;
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Whoever reads it says what is wrong.
    return false;
  }
}
