import type { ServiceImpl } from "@connectrpc/connect";
import type { Applier, Comparer } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { Diff } from "../gen/containerd/services/diff/v1/diff_pb.js";
import { fromDescriptor, toDescriptor, toMount, toNumber } from "../wire/values.ts";

/**
 * The diff service over what can apply, compare, or both. It throws what that throws: to make statuses of that is left to its server.
 */
export function serveDiff(differ: Applier | Comparer): ServiceImpl<typeof Diff> {
  return {
    apply: async ({ diff, mounts, syncFs }, { signal }) => {
      if (!canApply(differ)) throw new CodedError("ERR_NOT_IMPLEMENTED", "differ: applies no layers");
      // An applier leaves that to who commits. containerd has another differ, which syncs.
      if (syncFs) throw new CodedError("ERR_NOT_IMPLEMENTED", "differ: brings no layers to the disk (sync_fs)");
      const applied = await differ.apply(toDescriptor(diff), mounts.map(toMount), { signal });
      return { applied: fromDescriptor(applied) };
    },
    diff: async ({ left, right, mediaType, ref, labels, sourceDateEpoch }, { signal }) => {
      if (!canCompare(differ)) throw new CodedError("ERR_NOT_IMPLEMENTED", "differ: makes no layers");
      const { descriptor } = await differ.compare(left.map(toMount), right.map(toMount), {
        signal,
        labels,
        mediaType: mediaType === "" ? undefined : mediaType,
        ref: ref === "" ? undefined : ref,
        sourceDateEpoch: sourceDateEpoch === undefined ? undefined : toNumber(sourceDateEpoch.seconds),
      });
      return { diff: fromDescriptor(descriptor) };
    },
  };
}

function canApply(differ: Applier | Comparer): differ is Applier {
  return "apply" in differ && typeof differ.apply === "function";
}

function canCompare(differ: Applier | Comparer): differ is Comparer {
  return "compare" in differ && typeof differ.compare === "function";
}
