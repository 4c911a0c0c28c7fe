/** What the garbage collector keeps or takes. */
export const itemTypes = ["content", "snapshot", "image", "lease", "ingest"] as const;
export type ItemType = (typeof itemTypes)[number];
