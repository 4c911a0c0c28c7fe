import type { ContentStore } from "@varve/content";
import { CodedError } from "@varve/errors";
import { adopt } from "./adopt.ts";
import { checkStore } from "./check/check.ts";
import { repairStore } from "./check/repair.ts";
import { collect } from "./gc/collect.ts";
import { explain } from "./gc/explain.ts";
import type { Metadata, MetadataOptions, SnapshotBackends } from "./metadata.ts";
import { checkNamespace } from "./namespace-name.ts";
import { SqliteNamespaces } from "./namespaces.ts";
import { openDatabase } from "./open-database.ts";
import type { StoreContext } from "./store-context.ts";
import { openNamespace } from "./namespace.ts";

const noSnapshotters: SnapshotBackends = {
  used: async () => [],
  get: async (name) => {
    throw new CodedError("ERR_INVALID_ARGUMENT", `snapshotter ${name}: there is none of that name`);
  },
};

/**
 * Opens the records of a store: one SQLite file that any number of processes may use at once. Every change is one
 * transaction, and on disk when it is acknowledged.
 *
 * @throws ERR_NOT_IMPLEMENTED the file was written by a newer version
 * @throws ERR_INVALID_DATA the file is no database, or one of another program
 * @throws ERR_DATA_LOSS the file is damaged; of every call here
 * @throws ERR_UNAVAILABLE another process has locked the file for seconds; of every call here
 */
export async function openMetadata<Content extends ContentStore>(
  options: MetadataOptions<Content>,
): Promise<Metadata<Content>> {
  const { path, content, snapshotters = noSnapshotters, resources = [] } = options;
  const { sharing = "shared", durability = "full" } = options;
  const database = await openDatabase({ path, durability });
  const context: StoreContext = { database, content, snapshotters, resources, sharing };
  try {
    await adopt(context);
  } catch (error) {
    database.close();
    throw error;
  }
  const close = async (): Promise<void> => database.close();
  return {
    namespaces: new SqliteNamespaces(database),
    namespace: (name) => {
      checkNamespace(name);
      return openNamespace<Content>(context, name, undefined);
    },
    collect: (collectOptions) => collect(context, collectOptions),
    why: (item, whyOptions) => explain(context, item, whyOptions),
    check: (checkOptions) => checkStore(context, checkOptions),
    repair: (repairOptions) => repairStore(context, repairOptions),
    close,
    [Symbol.asyncDispose]: close,
  };
}
