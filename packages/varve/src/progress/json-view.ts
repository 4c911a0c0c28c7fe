import type { ProgressEvent } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { printableJson } from "../printable.ts";
import type { ProgressView, ViewStream } from "./view.ts";

/** One JSON object a line. `version` counts breaking changes of this form. */
export function createJsonView(stream: ViewStream): ProgressView {
  return {
    onProgress: (event) => void stream.write(`${printableJson({ version: 1, ...plainEvent(event) })}\n`),
    finish: () => undefined,
  };
}

function plainEvent(event: ProgressEvent): Record<string, unknown> {
  const plain: Record<string, unknown> = { ...event };
  if ("descriptor" in event) plain["descriptor"] = plainDescriptor(event.descriptor);
  if (event.type === "resolved") plain["target"] = plainDescriptor(event.target);
  if (event.type === "layers") plain["layers"] = event.layers.map(plainDescriptor);
  if (event.type === "retry") plain["error"] = event.error instanceof Error ? event.error.message : String(event.error);
  return plain;
}

function plainDescriptor({ mediaType, digest, size }: Descriptor): Pick<Descriptor, "mediaType" | "digest" | "size"> {
  return { mediaType, digest, size };
}
