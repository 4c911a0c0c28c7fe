import type { Database } from "./database.ts";
import type { Directories } from "./directories.ts";
import type { LostWrites } from "./lost-writes.ts";

/** What a store consists of. */
export interface StoreParts {
  readonly database: Database;
  readonly directories: Directories;
  readonly lostWrites: LostWrites;
  readonly removal: "now" | "later";
}
