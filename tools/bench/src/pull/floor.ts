import { join } from "node:path";
import { missingPrograms } from "@varve-tools/corpus";
import type { Contender } from "./contender.ts";
import { measure } from "../measure.ts";
import type { Cost } from "../measure.ts";

/**
 * curl, the fastest gunzip that there is, openssl and tar: what the same work costs with the shell, without whiteouts, fsync or
 * metadata.
 */
export async function floorContenders(): Promise<Contender[]> {
  const gunzips = ["igzip", "pigz", "gzip"];
  const missing = await missingPrograms(gunzips);
  const [gunzip = "gzip"] = gunzips.filter((name) => !missing.includes(name));
  return [1, 2].flatMap((jobs) => {
    const pace = jobs === 1 ? "in turn" : `${jobs} at a time`;
    const pull = (reference: string, store: string): Promise<Cost> =>
      measure(["bash", join(import.meta.dirname, "floor.sh"), reference, `${store}/floor`], {
        GUNZIP: gunzip,
        JOBS: String(jobs),
      });
    return [
      { name: `floor ${gunzip} ${pace}`, forms: ["gzip"], takesManyLayers: true, pull },
      { name: `floor ${pace}`, forms: ["zstd", "plain"], takesManyLayers: true, pull },
    ] satisfies Contender[];
  });
}
