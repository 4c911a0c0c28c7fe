import type { ContentStore } from "@varve/content";
import { canFollow, canQuarantine } from "@varve/content";
import { ContentView } from "./content/content-view.ts";
import { FollowableContentView } from "./content/followable-content-view.ts";
import { withQuarantine } from "./content/quarantining.ts";
import type { Namespace } from "./metadata.ts";
import { SqliteImages } from "./sqlite-images.ts";
import { SqliteLeases } from "./sqlite-leases.ts";
import { openSnapshotView } from "./snapshots/open-view.ts";
import type { StoreContext } from "./store-context.ts";

/** One namespace, of which the name has been checked; with a lease, as its holder sees it. */
export function openNamespace<Content extends ContentStore>(
  context: StoreContext,
  name: string,
  lease: string | undefined,
): Namespace<Content> {
  const scope = { context, namespace: name, lease };
  const store = context.content;
  const view = canFollow(store) ? new FollowableContentView(scope, store) : new ContentView(scope);
  const content: object = canQuarantine(store) ? withQuarantine(scope, view, store) : view;
  return {
    name,
    images: new SqliteImages(scope),
    leases: new SqliteLeases(scope),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- TypeScript cannot follow that the guard above decides the same as the type
    content: content as Namespace<Content>["content"],
    snapshotter: async (snapshotter) => {
      const backend = await context.snapshotters.get(snapshotter);
      return openSnapshotView(context, { namespace: name, snapshotter, backend, lease });
    },
    under: (id) => openNamespace<Content>(context, name, id),
  };
}
