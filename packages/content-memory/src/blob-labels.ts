import type { LabelChanges } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

/** Key and value together, in bytes (U-MD.2). */
const maxLabelBytes = 4096;

type Labels = Readonly<Record<string, string>>;

/** Checks everything before anything is changed. */
export function changeLabels(digest: Digest, labels: Labels, changes: LabelChanges): Labels {
  const changed = new Map(Object.entries(labels));
  for (const [key, value] of Object.entries(changes)) {
    check(digest, key, value ?? "");
    if (value === undefined) changed.delete(key);
    else changed.set(key, value);
  }
  return Object.fromEntries(changed);
}

function check(digest: Digest, key: string, value: string): void {
  const bytes = Buffer.byteLength(key) + Buffer.byteLength(value);
  if (key !== "" && bytes <= maxLabelBytes) return;
  const why = key === "" ? "a label without a name" : `label ${key.slice(0, 64)}: ${bytes} bytes`;
  throw new CodedError("ERR_INVALID_ARGUMENT", `content ${digest}: ${why}, the limit is ${maxLabelBytes} bytes`);
}
