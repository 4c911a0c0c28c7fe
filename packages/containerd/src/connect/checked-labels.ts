import type { LabelChanges } from "@varve/content";
import { CodedError } from "@varve/errors";

/** https://github.com/containerd/containerd/blob/main/pkg/labels/validate.go: of name and value together. */
const maxBytes = 4096;

/**
 * Those that are not removed: a label that is named in a mask and has no value goes. Containerd does not look at all labels it is
 * given, and has no error class for one without a name.
 *
 * @throws ERR_INVALID_ARGUMENT a label has no name, or is too long
 */
export function checkedLabels(subject: string, changes: LabelChanges): Record<string, string> {
  for (const [name, value = ""] of Object.entries(changes)) {
    if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", `${subject}: a label has no name`);
    if (Buffer.byteLength(name) + Buffer.byteLength(value) > maxBytes) {
      const start = name.slice(0, 64);
      throw new CodedError("ERR_INVALID_ARGUMENT", `${subject}: label ${start}: more than ${maxBytes} bytes`);
    }
  }
  return valuesSet(changes);
}

/** What has a value. */
export function valuesSet(changes: LabelChanges): Record<string, string> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(changes)) if (value !== undefined) values[name] = value;
  return values;
}
