import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { bareMediaType, isIndexType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";

/** A manifest that belongs to another one. */
export interface Referrer {
  readonly subject: Digest;
  /** As it stands in lists: with the type and the annotations of the manifest. */
  readonly descriptor: Descriptor;
}

interface Fields {
  readonly artifactType?: unknown;
  readonly config?: unknown;
  readonly subject?: unknown;
  readonly annotations?: unknown;
}

/** Reads of a manifest or index what lists of referrers say of it; `undefined` if it belongs to nothing. */
export function asReferrer(descriptor: Descriptor, bytes: Uint8Array): Referrer | undefined {
  const fields = fieldsIn(bytes);
  const subject = property(fields.subject, "digest");
  if (!isDigest(subject)) return undefined;
  const { digest, mediaType, size } = descriptor;
  const artifactType = artifactTypeOf(mediaType, fields);
  const annotations = textsOf(fields.annotations);
  return {
    subject,
    descriptor: {
      mediaType,
      digest,
      size,
      ...(artifactType !== undefined && { artifactType }),
      ...(annotations !== undefined && { annotations }),
    },
  };
}

/** What a manifest is: its own word, else its config's type; an index has nothing else to go by (distribution specification). */
function artifactTypeOf(mediaType: string, { artifactType, config }: Fields): string | undefined {
  if (typeof artifactType === "string" && artifactType !== "") return artifactType;
  if (isIndexType(bareMediaType(mediaType))) return undefined;
  const configType = property(config, "mediaType");
  return typeof configType === "string" && configType !== "" ? configType : undefined;
}

function fieldsIn(bytes: Uint8Array): Fields {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    // Whether it is a manifest is for the registry to say.
    return {};
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
}

function textsOf(value: unknown): Record<string, string> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const texts = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return texts.length === 0 ? undefined : Object.fromEntries(texts);
}
