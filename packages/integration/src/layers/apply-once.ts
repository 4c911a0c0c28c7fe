// node apply-once.ts TARGET ROOT TAR
// Applies one layer in the main thread, and prints what came of it as JSON: `{}`, or the error.
import { readFileSync, writeSync } from "node:fs";
import { createLayerWriter } from "@varve/archive";

/** How a layer was refused, or what the system said. */
export interface ApplyFailure {
  readonly code?: string | undefined;
  readonly errno?: number | undefined;
  readonly message?: string | undefined;
}

const [target = "", root = "", tar = ""] = process.argv.slice(2);
const layer = readFileSync(tar);

function apply(): ApplyFailure {
  try {
    const writer = createLayerWriter(root, { target: target === "overlay" ? "overlay" : "directory" });
    try {
      for (let at = 0; at < layer.length; at += 4096) writer.write(layer.subarray(at, at + 4096));
      writer.end();
    } finally {
      writer.abort();
    }
    return {};
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    return { code, errno, message: error instanceof Error ? error.message : String(error) };
  }
}

writeSync(1, JSON.stringify(apply()));
