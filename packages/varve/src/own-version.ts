import { readFileSync } from "node:fs";

/** The version of this package. */
export function ownVersion(): string {
  const file = new URL("../package.json", import.meta.url);
  const description: unknown = JSON.parse(readFileSync(file, "utf8"));
  const known = typeof description === "object" && description !== null && "version" in description;
  return known ? String(description.version) : "0";
}
