import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { CodedError } from "@varve/errors";
import { parseDigest } from "@varve/digest";
import type { Mount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import { DescriptorSchema } from "../gen/containerd/types/descriptor_pb.js";
import type { Descriptor as WireDescriptor } from "../gen/containerd/types/descriptor_pb.js";
import { MountSchema } from "../gen/containerd/types/mount_pb.js";
import type { Mount as WireMount } from "../gen/containerd/types/mount_pb.js";

/** @throws ERR_OUT_OF_RANGE no number of this language holds it exactly */
export function toNumber(value: bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new CodedError("ERR_OUT_OF_RANGE", `${value}: is not exact as a number`);
}

/** A missing time is the beginning of 1970: what Go sends for no time at all is before it, and means the same. */
export function toDate(time: Timestamp | undefined): Date {
  return time === undefined || time.seconds < 0n ? new Date(0) : timestampDate(time);
}

export function fromDate(date: Date): Timestamp {
  return timestampFromDate(date);
}

export function toMount({ type, source, target, options }: WireMount): Mount {
  return { type, source, ...(target === "" ? {} : { target }), options };
}

export function fromMount({ type, source, target = "", options }: Mount): WireMount {
  return create(MountSchema, { type, source, target, options: [...options] });
}

/** @throws ERR_INVALID_ARGUMENT there is none, or its digest is malformed */
export function toDescriptor(descriptor: WireDescriptor | undefined): Descriptor {
  if (descriptor === undefined) throw new CodedError("ERR_INVALID_ARGUMENT", "descriptor: there is none");
  const { mediaType, digest, size, annotations } = descriptor;
  return {
    mediaType,
    digest: parseDigest(digest),
    size: toNumber(size),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

export function fromDescriptor({ mediaType, digest, size, annotations = {} }: Descriptor): WireDescriptor {
  const init: MessageInitShape<typeof DescriptorSchema> = { mediaType, digest, size: BigInt(size) };
  return create(DescriptorSchema, { ...init, annotations: { ...annotations } });
}
