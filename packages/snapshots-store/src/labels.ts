import { CodedError } from "@varve/errors";
import type { LabelChanges } from "@varve/snapshots";

/** As containerd has it, so that a snapshot can be shown to it. */
const limit = 4096;

/** @throws ERR_INVALID_ARGUMENT a label has no name, or name and value together are more than 4096 bytes */
export function checkLabels(snapshot: string, labels: LabelChanges): void {
  for (const [name, value = ""] of Object.entries(labels)) {
    if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${snapshot}: label without a name`);
    const size = Buffer.byteLength(name) + Buffer.byteLength(value);
    if (size <= limit) continue;
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      `snapshot ${snapshot}: label ${name.slice(0, 64)}: ${size} bytes with its value, at most ${limit} are allowed`,
    );
  }
}
