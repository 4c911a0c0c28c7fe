import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execute } from "../shared/execute.ts";

const limit = 60_000;

/** Runs one file with plain node in an empty folder; resolves to what is wrong with it, or to undefined. */
export async function runBlock(file: string, node: string = process.execPath): Promise<string | undefined> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "varve-readme-")));
  const temporary = realpathSync(mkdtempSync(join(tmpdir(), "varve-readme-tmp-")));
  const result = await execute(node, [file], { cwd: folder, env: { TMPDIR: temporary }, timeout: limit });
  const mounts = [...mountsBelow(folder), ...mountsBelow(temporary)];
  // A recursive removal would go through a mount into what is mounted there.
  if (mounts.length > 0) return `left mounts behind: ${mounts.join(", ")}`;
  const leftovers = readdirSync(temporary);
  rmSync(folder, { recursive: true });
  rmSync(temporary, { recursive: true });
  if (!result.ok) return `${result.status}\n${result.output}`;
  return leftovers.length > 0 ? `left behind in the folder for temporary files: ${leftovers.join(", ")}` : undefined;
}

function mountsBelow(folder: string): readonly string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[4] ?? "").filter((target) => target.startsWith(`${folder}/`));
}
