import type { TarType } from "@varve/archive";
import type { Item } from "./layer-of.ts";

const types: readonly TarType[] = ["file", "file", "file", "directory", "symlink", "hardlink", "char", "block", "fifo"];
const letters = ["a", "b", "ä", "日", ".", " ", "-", "\\", "\n", "\t", "'", '"', "=", "é"];

/** Entries that any archive may have, in any order. Names are UTF-8, do not begin with a blank, and may be long. */
export function randomItems(random: () => number): Item[] {
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(values: readonly T[]): T => values[below(values.length)] as T;
  const name = (): string => {
    const parts = Array.from({ length: 1 + below(3) }, () => {
      const length = below(12) === 0 ? 60 + below(120) : 1 + below(12);
      return `n${Array.from({ length }, () => pick(letters)).join("")}`;
    });
    return parts.join("/");
  };
  const number = (): number => (below(6) === 0 ? 2_097_152 + below(4_000_000_000 - 2_097_152) : below(2_097_152));
  return Array.from({ length: 1 + below(12) }, () => {
    const type = pick(types);
    const device = type === "char" || type === "block";
    return {
      type,
      name: type === "directory" ? `${name()}/` : name(),
      mode: below(0o10000),
      uid: number(),
      gid: number(),
      mtime: { seconds: below(8_000_000_000), nanoseconds: below(2) * below(1_000_000_000) },
      content: type === "file" ? Buffer.alloc(below(3) * below(3000), pick(letters)) : undefined,
      link: type === "symlink" || type === "hardlink" ? name() : undefined,
      deviceMajor: device ? below(4096) : 0,
      deviceMinor: device ? below(2 ** 20) : 0,
      xattrs: below(4) === 0 ? new Map([["user.text", Buffer.from("value")]]) : undefined,
    };
  });
}
