import { isDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { ImageRecord } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import type { Row } from "./database.ts";
import { labelsOf, parseStored } from "./labels.ts";
import { textOf } from "./pages.ts";

/** @throws ERR_DATA_LOSS what is stored is no image */
export function imageOf(row: Row): ImageRecord {
  const name = textOf(row, "name");
  const target = parseStored(row["target"]);
  if (!isDescriptor(target)) throw new CodedError("ERR_DATA_LOSS", `image ${name}: a damaged record`);
  return {
    name,
    target,
    labels: labelsOf(row),
    createdAt: new Date(Number(row["created_at"])),
    updatedAt: new Date(Number(row["updated_at"])),
  };
}

function isDescriptor(target: object): target is Descriptor {
  return "digest" in target && typeof target.digest === "string" && isDigest(target.digest);
}
