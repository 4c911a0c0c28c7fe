import { joinTar, treeFiles } from "@varve/archive";
import { CodedError } from "@varve/errors";
import type { LayerRow } from "../layer-rows.ts";
import type { CallOptions } from "../layer-store.ts";
import { mountedStream } from "./mounted-stream.ts";
import type { StoreParts } from "../store-parts.ts";
import { viewedStream } from "./viewed-stream.ts";

/** The archive of a layer from its records and a view of its chain, held against its diff ID at the end (S1.60, S1.73). */
export async function* tarStream(
  parts: StoreParts,
  { chainId, diffId, id }: LayerRow,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { files } = parts;
  const subject = `layer ${chainId}`;
  yield* viewedStream(parts, chainId, (mounts) => mountedStream(parts, mounts, joined, signal), signal);

  async function* joined(root: string): AsyncGenerator<Uint8Array, void, undefined> {
    const tree = treeFiles(root);
    try {
      yield* joinTar(present(files.read(id, signal), subject), tree, { diffId, signal, subject });
    } finally {
      tree.close();
    }
  }
}

/** Records that cannot be read are a loss, as contents are. */
async function* present(
  records: AsyncIterable<Uint8Array>,
  subject: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* records;
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!isGone) throw error;
    throw new CodedError("ERR_DATA_LOSS", `${subject}: its tar-split records are gone`, { cause: error });
  }
}
