import { defaultPlatform, normalizePlatform, parsePlatform } from "@varve/oci";
import type { Platform } from "@varve/oci";

/** The platform a caller asks for, or this machine's. */
export function platformOf(asked: string | Platform | undefined): Platform {
  if (asked === undefined) return defaultPlatform();
  return typeof asked === "string" ? parsePlatform(asked) : normalizePlatform(asked);
}
