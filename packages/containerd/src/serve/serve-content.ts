import type { ServiceImpl } from "@connectrpc/connect";
import { canLabel } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { CodedError } from "@varve/errors";
import type { Content } from "../gen/containerd/services/content/v1/content_pb.js";
import { inBatches } from "../wire/batches.ts";
import { labelUpdate } from "../wire/label-mask.ts";
import { fromInfo, fromIngestStatus, toDigest } from "./content-messages.ts";
import { answerRead } from "./content-read.ts";
import { answerWrites } from "./content-write.ts";
import type { KeptReaders } from "./kept-readers.ts";

/**
 * The content service over a store, whose readers these are. It throws what the store throws: to make statuses of that is left to its
 * server.
 */
export function serveContent(content: ContentStore, readers: KeptReaders): ServiceImpl<typeof Content> {
  return {
    info: async ({ digest }, { signal }) => ({ info: fromInfo(await content.info(toDigest(digest), { signal })) }),
    update: async ({ info, updateMask }, { signal }) => {
      const digest = toDigest(info?.digest ?? "");
      if (!canLabel(content)) {
        throw new CodedError("ERR_NOT_IMPLEMENTED", `content ${digest}: this store keeps no labels`);
      }
      const { changes, replace } = labelUpdate(updateMask?.paths ?? [], info?.labels ?? {}, `content ${digest}`);
      return { info: fromInfo(await content.label(digest, changes, { replace, signal })) };
    },
    list: async function* ({ filters }, { signal }) {
      const blobs = content.walk({ filters, signal });
      for await (const batch of inBatches(blobs, ({ labels }) => Object.entries(labels).flat())) {
        yield { info: batch.map(fromInfo) };
      }
    },
    delete: async ({ digest }, { signal }) => {
      const removed = toDigest(digest);
      await content.delete(removed, { signal });
      // Its space is free as soon as it is closed.
      readers.forget(removed);
      return {};
    },
    read: (request, { signal }) => answerRead(readers, request, signal),
    status: async ({ ref }, { signal }) => ({ status: fromIngestStatus(await content.status(ref, { signal })) }),
    listStatuses: async ({ filters }, { signal }) => {
      const statuses = await Array.fromAsync(content.statuses({ filters, signal }));
      return { statuses: statuses.map(fromIngestStatus) };
    },
    write: (requests, { signal }) => answerWrites(content, requests, signal),
    abort: async ({ ref }, { signal }) => {
      await content.abort(ref, { signal });
      return {};
    },
  };
}
