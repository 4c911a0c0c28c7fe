import { exec } from "@varve-tools/corpus";

/** How many names a tree has, and how many bytes its files. */
export async function entriesOf(tree: string): Promise<string> {
  const { stdout } = await exec("find", [tree, "-printf", "%y %s\n"]);
  const lines = stdout.trim().split("\n");
  const bytes = lines.filter((line) => line.startsWith("f")).map((line) => Number(line.slice(2)));
  return `${lines.length} ${bytes.reduce((sum, size) => sum + size, 0)}`;
}
