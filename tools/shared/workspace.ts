import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top folder of the clone. */
export const root: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What the checks read of a `package.json`. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly license?: string;
  readonly type?: string;
  readonly private?: boolean;
  readonly sideEffects?: boolean | readonly string[];
  readonly engines?: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly publishConfig?: { readonly access?: string; readonly exports?: Readonly<Record<string, unknown>> };
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** One folder of `packages/`. */
export interface WorkspacePackage {
  readonly folder: string;
  /** Absolute path of the folder. */
  readonly path: string;
  readonly manifest: Manifest;
}

/** Lists the packages of the workspace, sorted by folder. */
export function workspacePackages(): readonly WorkspacePackage[] {
  const files = globSync("packages/*/package.json", { cwd: root });
  return files.toSorted().map((file) => {
    const path = join(root, dirname(file));
    const manifest: Manifest = JSON.parse(readFileSync(join(root, file), "utf8"));
    return { folder: path.slice(join(root, "packages/").length), path, manifest };
  });
}

/** `@varve/content` → `content`; undefined for a package of somebody else. */
export function ownFolder(packageName: string): string | undefined {
  if (packageName === "varve") return "varve";
  return packageName.startsWith("@varve/") ? packageName.slice("@varve/".length) : undefined;
}
