import { CodedError } from "@varve/errors";
import { JsonObject, parseJson } from "@varve/oci";
import { quote } from "./subject.ts";

/** The file that makes a directory, or an archive, an OCI image layout. */
export const layoutFileName = "oci-layout";
export const layoutFile: string = JSON.stringify({ imageLayoutVersion: "1.0.0" });

const maxSize = 4096;

/**
 * @throws ERR_INVALID_DATA not what the image specification says
 * @throws ERR_NOT_IMPLEMENTED another version
 */
export function checkLayoutFile(bytes: Uint8Array, subject: string): void {
  const document = new JsonObject(parseJson(bytes, subject, maxSize), subject, "", ["imageLayoutVersion"]);
  const version = document.required("imageLayoutVersion", document.text("imageLayoutVersion"));
  if (version === "1.0.0") return;
  throw new CodedError("ERR_NOT_IMPLEMENTED", `${subject}: image layout of version ${quote(version)}`);
}
