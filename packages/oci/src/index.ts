export { emptyConfig, isAttestationManifest } from "./descriptor.ts";
export type { Descriptor } from "./descriptor.ts";
export { defaultMaxDocumentSize, parseDocument, parseImageConfig, parseIndex, parseManifest } from "./document.ts";
export type { Document, Index, Manifest, ParseOptions } from "./document.ts";
export { configPlatform } from "./image-config.ts";
export type { ContainerConfig, HistoryEntry, ImageConfig } from "./image-config.ts";
export { useInlineData } from "./inline-data.ts";
export { parseJson } from "./json-document.ts";
export { JsonObject } from "./json-object.ts";
export {
  bareMediaType,
  isAttestationType,
  isConfigType,
  isEncryptedLayerType,
  isForeignLayerType,
  isIndexType,
  isLayerType,
  isManifestType,
  isSchema1Type,
  layerCompression,
  mediaTypes,
} from "./media-types.ts";
export { allPlatforms, onlyPlatform, orderedPlatforms, strictPlatform } from "./platform-matcher.ts";
export type { PlatformMatcher } from "./platform-matcher.ts";
export { defaultPlatform, formatPlatform, normalizePlatform, parsePlatform } from "./platform.ts";
export type { Platform } from "./platform.ts";
export { rankManifests, selectManifest } from "./select-manifest.ts";
