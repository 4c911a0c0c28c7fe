import { parsePlatform } from "@varve/oci";
import { parseReference } from "@varve/reference";
import { UsageError } from "../exit-code.ts";

/** Tells a wrong command line from a wrong image before anything is asked for. */
export function checkUsage(reference: string, platform: string | undefined): void {
  try {
    parseReference(reference);
    if (platform !== undefined) parsePlatform(platform);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
