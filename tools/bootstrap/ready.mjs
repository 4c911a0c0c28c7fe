// Runs on Node 20 without any dependency, like everything in this folder.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top folder of the clone. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where the state of the installation is kept; it goes away together with `node_modules`. */
export const stateDirectory = join(root, "node_modules", ".varve");

/** The project's own Node. */
export const projectNode = join(root, "node_modules", ".bin", "node");

const stampFile = join(stateDirectory, "ready");

/** Says what an installation was made from: any change of a manifest or of the lockfile gives another stamp. */
function currentStamp() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const file of manifests()) hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function manifests() {
  const files = ["package.json", "pnpm-workspace.yaml", "pnpm-lock.yaml"];
  for (const folder of ["packages", "tools"]) {
    for (const name of readdirSync(join(root, folder)).toSorted()) {
      const file = join(folder, name, "package.json");
      if (existsSync(join(root, file))) files.push(file);
    }
  }
  return files;
}

/** Tells whether the installation in `node_modules` is complete and belongs to the manifests as they are now. */
export function isReady() {
  try {
    if (readFileSync(stampFile, "utf8") !== currentStamp() || !existsSync(projectNode)) return false;
  } catch (error) {
    if (error.code === "ENOENT") return false;
    throw error;
  }
  freshenStamp();
  return true;
}

/** `bin/varve` compares only modification times: make it see that the manifests, though newer, are the same. */
function freshenStamp() {
  const now = new Date();
  try {
    utimesSync(stampFile, now, now);
  } catch (error) {
    // A clone that belongs to somebody else works too, only with this slower check.
    if (!["EACCES", "EPERM", "EROFS"].includes(error.code)) throw error;
  }
}

/** Remembers that the installation is complete. */
export function markReady() {
  mkdirSync(stateDirectory, { recursive: true });
  writeFileSync(stampFile, currentStamp());
}
