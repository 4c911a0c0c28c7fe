import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isReady, stateDirectory } from "./ready.mjs";

/**
 * Makes the clone ready for work: pnpm, the project's own Node and all dependencies of the lockfile.
 * Does nothing when that is done already.
 *
 * @returns {Promise<number>} 0, or the exit status of the installation that failed and has said why
 */
export async function bootstrap() {
  if (isReady()) return 0;
  const problem = machineProblem();
  if (problem !== undefined) {
    console.error(`bootstrap: ${problem}`);
    return 1;
  }
  mkdirSync(stateDirectory, { recursive: true });
  const install = [process.execPath, fileURLToPath(new URL("install.mjs", import.meta.url))];
  // The kernel frees this lock with the last process that holds it, so a killed installation blocks nobody.
  const locked = await run(["flock", join(stateDirectory, "lock"), ...install]);
  return locked ?? (await run(install)) ?? 1;
}

function machineProblem() {
  const machine = `${process.platform} ${process.arch}`;
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) {
    return `${machine}: not supported, varve is developed on linux x64 or arm64`;
  }
  if (process.report.getReport().header.glibcVersionRuntime === undefined) {
    return `${machine} with musl: not supported, the project's own Node needs glibc`;
  }
  const major = Number(process.versions.node.split(".")[0]);
  return major < 20 ? `node ${process.versions.node}: too old, 20 or newer is needed` : undefined;
}

/** Resolves to the exit status, or to undefined when there is no such command. */
function run([command, ...args]) {
  return new Promise((resolve, reject) => {
    // Nothing on standard output: it belongs to the command that runs after the installation.
    const child = spawn(command, args, { stdio: ["ignore", 2, 2] });
    child.once("error", (error) => (error.code === "ENOENT" ? resolve(undefined) : reject(error)));
    child.once("close", (status) => resolve(status ?? 1));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await bootstrap();
