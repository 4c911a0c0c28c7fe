import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Contender } from "./contender.ts";
import type { InstalledVarve } from "./installed-varve.ts";
import { measure } from "../measure.ts";

/** How one `varve pull` is to be. */
export interface VarveSetting {
  readonly name: string;
  readonly args?: readonly string[] | undefined;
  /** Default: true. */
  readonly hasIsal?: boolean | undefined;
  readonly askedBy?: string | undefined;
}

export const plainVarve: VarveSetting = { name: "varve overlay" };

/** The settings that are compared, as far as the command knows their options. */
export async function varveSettings(varve: InstalledVarve): Promise<readonly VarveSetting[]> {
  const notSynced = (await varve.help()).includes("--durability")
    ? [{ name: "varve overlay, not synced", args: ["--durability=none"] }]
    : [];
  return [
    plainVarve,
    ...notSynced,
    { name: "varve overlay without libisal", hasIsal: false },
    { name: "varve native", args: ["--snapshotter=native"], askedBy: "native" },
  ];
}

export function varveContender(varve: InstalledVarve, setting: VarveSetting): Contender {
  const { name, hasIsal = true, askedBy } = setting;
  return {
    name,
    askedBy,
    takesManyLayers: askedBy === undefined,
    forms: hasIsal ? undefined : ["gzip"],
    pull: async (reference, store) => {
      const env = { ...varve.env, ...(hasIsal ? {} : await withoutIsal(store)) };
      return measure(pullCommand(varve, { reference, store, args: setting.args }), env);
    },
  };
}

/** What one `varve pull` is told. */
export interface VarvePull {
  readonly reference: string;
  readonly store: string;
  readonly args?: readonly string[] | undefined;
}

export function pullCommand(varve: InstalledVarve, { reference, store, args = [] }: VarvePull): string[] {
  return [...varve.command, "pull", "--progress=none", ...args, `--root=${store}/varve`, reference];
}

/** The loader takes the first library of a name that it finds, and gives up if that one is none. */
async function withoutIsal(store: string): Promise<NodeJS.ProcessEnv> {
  const libraries = join(store, "libraries");
  await mkdir(libraries);
  await writeFile(join(libraries, "libisal.so.2"), "");
  return { LD_LIBRARY_PATH: libraries };
}
