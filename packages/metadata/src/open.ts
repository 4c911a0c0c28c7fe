import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { canFollow } from "@varve/content";
import type { ContentStore, Follower, Labeler } from "@varve/content";
import type { ImageStore } from "@varve/images";
import type { LeaseManager } from "@varve/leases";
import { Database } from "./database.ts";
import { FollowableContent, LabelledContent } from "./labelled-content.ts";
import { applicationId, migrations } from "./schema.ts";
import { SqliteImages } from "./sqlite-images.ts";
import { SqliteLeases } from "./sqlite-leases.ts";

export interface MetadataOptions<Content extends ContentStore = ContentStore> {
  /** The database file; it and its directory are made if they are missing. */
  readonly path: string;
  /** Where the blobs are. It stays the caller's to close. */
  readonly content: Content;
}

/** Names, labels and leases of one store. */
export interface Metadata<Content extends ContentStore = ContentStore> extends AsyncDisposable {
  readonly images: ImageStore;
  readonly leases: LeaseManager;
  /**
   * The wrapped store, with labels. It can be followed if the wrapped one can. A commit that finds its blob stored adds
   * its labels to it. Closing it closes the wrapped store.
   */
  readonly content: ContentStore & Labeler & (Content extends Follower ? Follower : object);
  /** Closes the database, not the wrapped store. Closing twice is allowed. */
  close(): Promise<void>;
}

/**
 * Opens the metadata of a store: one SQLite file that any number of processes may use at once. Every change is one
 * transaction, and on disk when it is acknowledged.
 *
 * @throws ERR_NOT_IMPLEMENTED the file was written by a newer version
 * @throws ERR_INVALID_DATA the file is no database, or one of another program
 * @throws ERR_UNAVAILABLE another process has locked the file for seconds; of every call here
 */
export async function openMetadata<Content extends ContentStore>(
  options: MetadataOptions<Content>,
): Promise<Metadata<Content>> {
  await mkdir(dirname(options.path), { recursive: true, mode: 0o700 });
  const database = await Database.open(options.path, applicationId, migrations);
  const store: ContentStore = options.content;
  const content: object = canFollow(store)
    ? new FollowableContent(store, database)
    : new LabelledContent(store, database);
  return {
    images: new SqliteImages(database),
    leases: new SqliteLeases(database),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- TypeScript cannot follow that the guard above decides the same as the type
    content: content as Metadata<Content>["content"],
    close: async () => database.close(),
    [Symbol.asyncDispose]: async () => database.close(),
  };
}
