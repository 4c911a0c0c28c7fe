import type { CallOptions, ContentStore, QuarantinedBlob, Quarantiner } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { examine } from "../check/examine.ts";
import { whileRemoving } from "../check/removing.ts";
import type { Scope } from "../store-context.ts";
import { forgetBlob } from "./blob-rows.ts";
import type { ContentView } from "./content-view.ts";

/**
 * Lets a namespace have a damaged blob taken away, so that what was found out by reading it is mended by fetching it again
 * (F11). The bytes are shared, so a blob that proves to be whole stays: no namespace may take it from the others.
 */
export function withQuarantine(
  scope: Scope,
  view: ContentView,
  store: ContentStore & Quarantiner,
): ContentView & Quarantiner {
  return Object.assign(view, {
    quarantine: async (digest: Digest, options: CallOptions = {}): Promise<QuarantinedBlob> => {
      await view.info(digest, options);
      return takeAway(scope, store, digest, options);
    },
    quarantined: (options?: CallOptions) => store.quarantined(options),
    discard: (id: string, options?: CallOptions) => store.discard(id, options),
  });
}

async function takeAway(
  { context }: Scope,
  store: ContentStore & Quarantiner,
  digest: Digest,
  { signal }: CallOptions,
): Promise<QuarantinedBlob> {
  let taken: QuarantinedBlob | undefined;
  await whileRemoving(context.database, digest, async () => {
    const found = await examine(store, digest, { signal });
    if (found.kind === "whole") {
      throw new CodedError("ERR_FAILED_PRECONDITION", `content ${digest}: is whole, others may rely on it`);
    }
    taken = await store.quarantine(digest, { signal });
    return (session) => {
      for (const { namespace } of session.all("SELECT namespace FROM blobs WHERE digest = ?", digest)) {
        forgetBlob(session, String(namespace), digest);
      }
    };
  });
  if (taken === undefined) throw new CodedError("ERR_INTERNAL", `content ${digest}: neither taken away nor kept`);
  return taken;
}
