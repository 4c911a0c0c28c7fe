import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tarball } from "./pack.ts";
import { execute } from "../shared/execute.ts";
import { root } from "../shared/workspace.ts";

const compilerOptions = {
  module: "nodenext",
  target: "es2023",
  lib: ["es2024", "esnext.disposable"],
  strict: true,
  noEmit: true,
  // The declarations are what is checked here.
  skipLibCheck: false,
  types: ["node"],
  typeRoots: [join(root, "node_modules/@types")],
};

/** Type-checks a program that imports every package: finds declarations that only make sense inside the workspace. */
export async function typecheckConsumer(folder: string, tarballs: readonly Tarball[]): Promise<readonly string[]> {
  const lines = tarballs.map(({ source }, index) => `export * as p${index} from "${source.manifest.name}";\n`);
  writeFileSync(join(folder, "all.ts"), lines.join(""));
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["all.ts"] }));
  const result = await execute("tsc", ["-p", folder, "--pretty", "false"]);
  return result.ok ? [] : [`declarations: ${result.output}`];
}
