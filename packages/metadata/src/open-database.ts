import { openDatabase as openSqlite } from "@varve/sqlite";
import type { Database } from "@varve/sqlite";
import { applicationId, migrations } from "./schema.ts";

export interface OpenDatabaseOptions {
  readonly path: string;
  readonly durability: "full" | "none";
}

/** Opens the file, and brings it to the newest format in one step. What cannot be written is opened for reading. */
export function openDatabase({ path, durability }: OpenDatabaseOptions): Promise<Database> {
  return openSqlite({ path, durability, subject: "metadata", applicationId, migrations });
}
