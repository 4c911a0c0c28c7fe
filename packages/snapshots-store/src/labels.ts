import { CodedError } from "@varve/errors";
import { parseIdMappings } from "@varve/mount";
import { labelGidMapping, labelUidMapping } from "@varve/snapshots";
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

/** @throws ERR_INVALID_ARGUMENT they ask for an id mapping that there cannot be */
export function checkMappings(snapshot: string, labels: Readonly<Record<string, string>>): void {
  const { [labelUidMapping]: uid, [labelGidMapping]: gid } = labels;
  if (uid === undefined && gid === undefined) return;
  const missing = uid === undefined ? labelUidMapping : labelGidMapping;
  if (uid === undefined || gid === undefined) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${snapshot}: id mapping without the label ${missing}`);
  }
  for (const text of [uid, gid]) {
    try {
      parseIdMappings(text);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      throw new CodedError(error.code, `snapshot ${snapshot}: ${error.message}`, { cause: error });
    }
  }
}
