import { isDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { ImageChanges, ImageInput, ImageRecord } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { changeLabels, checkLabels } from "./labels.ts";

/** What of an image can be changed. */
export type ImageContents = Pick<ImageRecord, "target" | "labels">;

/** @throws ERR_INVALID_ARGUMENT something is missing (U-MD.9), or a label is too long */
export function checkImage({ name, target, labels = {} }: ImageInput): void {
  if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "image: the name is empty");
  checkTarget(name, target);
  checkLabels(`image ${name}`, labels);
}

const changeable: ReadonlySet<string> = new Set(["target", "annotations", "labels"]);

/** @throws ERR_INVALID_ARGUMENT something else is to be changed, or what `checkImage` refuses */
export function checkChanges(name: string, changes: ImageChanges): void {
  const unknown = Object.keys(changes).find((key) => !changeable.has(key));
  if (unknown !== undefined) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `image ${name}: its ${unknown} cannot be changed`);
  }
  if (changes.target !== undefined) checkTarget(name, changes.target);
  checkLabels(`image ${name}`, changes.labels ?? {});
}

export function changeImage(old: ImageContents, changes: ImageChanges, replace: boolean): ImageContents {
  const { target = old.target, annotations, labels } = changes;
  return {
    target: annotations === undefined ? target : annotated(target, annotations, replace),
    labels: labels === undefined ? old.labels : changeLabels(replace ? {} : old.labels, labels),
  };
}

function annotated(
  target: Descriptor,
  changes: NonNullable<ImageChanges["annotations"]>,
  replace: boolean,
): Descriptor {
  const { annotations = {}, ...rest } = target;
  const changed = changeLabels(replace ? {} : annotations, changes);
  return Object.keys(changed).length === 0 ? rest : { ...rest, annotations: changed };
}

function checkTarget(name: string, target: Descriptor | undefined): void {
  const wrong = (why: string): CodedError => new CodedError("ERR_INVALID_ARGUMENT", `image ${name}: ${why}`);
  if (target === undefined) throw wrong("there is no target");
  if (target.mediaType === "") throw wrong("the target has no media type");
  if (!isDigest(target.digest)) throw wrong("the target has no valid digest");
  if (!Number.isSafeInteger(target.size) || target.size <= 0) throw wrong("the target has no size");
}
