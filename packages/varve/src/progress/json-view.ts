import type { ProgressEvent } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { printableJson } from "../printable.ts";
import type { ProgressView, ViewStream } from "./view.ts";

const stepMs = 100;

/**
 * One JSON object a line. `version` counts breaking changes of this form: new types and new fields are none. Byte counts of one
 * object come at most ten times a second, and the last one always.
 */
export function createJsonView(stream: ViewStream): ProgressView {
  const told = new Map<string, number>();
  const line = (value: object): void => void stream.write(`${printableJson({ version: 1, ...value })}\n`);
  return {
    onProgress(event) {
      if (isDue(event, told)) line(plainEvent(event));
    },
    finish: () => undefined,
    summarize: (summary) => line({ type: "summary", ...summary }),
  };
}

function isDue(event: ProgressEvent, told: Map<string, number>): boolean {
  if (event.type !== "fetching" && event.type !== "applying" && event.type !== "pushing") return true;
  const chainId = "chainId" in event ? event.chainId : undefined;
  const counted = `${event.type} ${chainId ?? ""} ${event.descriptor.digest}`;
  const now = performance.now();
  if (event.bytes !== event.descriptor.size && now - (told.get(counted) ?? -Infinity) < stepMs) return false;
  told.set(counted, now);
  return true;
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
