// Started by bootstrap.mjs under a lock; never run it by hand.
import { spawn } from "node:child_process";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isReady, markReady, projectNode, root, stateDirectory } from "./ready.mjs";

const log = join(stateDirectory, "install.log");

/** What goes wrong on a healthy clone, what to tell about it, and whether a second try is useless. */
const knownProblems = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|dns error|error sending request/i,
    "the npm registry cannot be reached",
  ],
  [/ENOSPC|No space left/i, "no space left on the disk", "lasting"],
  [/EACCES|EPERM|Permission denied/i, "no permission to write here or in npm's cache", "lasting"],
  [
    /OUTDATED_LOCKFILE|FROZEN_LOCKFILE/i,
    "pnpm-lock.yaml does not match a package.json: run `npx pnpm install`",
    "lasting",
  ],
];

// npm's own waits add up to more than a minute before it admits that there is no network.
const patience = {
  ...process.env,
  npm_config_fetch_retries: "2",
  npm_config_fetch_retry_mintimeout: "500",
  npm_config_fetch_retry_maxtimeout: "3000",
};

function installation() {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const version = packageManager.split("@")[1];
  const options = ["install", "--frozen-lockfile", "--prefer-offline", "--config.confirmModulesPurge=false"];
  if (installedPnpm() === version) return [join(root, "node_modules", ".bin", "pnpm"), ...options];
  return ["npx", "--yes", packageManager, ...options];
}

function installedPnpm() {
  const manifest = join(root, "node_modules", "pnpm", "package.json");
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
}

/** Resolves to what went wrong and whether it may pass, or to undefined. */
function execute([command, ...args]) {
  return new Promise((resolve) => {
    const file = createWriteStream(log);
    let output = "";
    const child = spawn(command, args, { cwd: root, env: patience, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        file.write(chunk);
        output = (output + chunk).slice(-64 * 1024);
      });
    }
    child.once("error", (error) => resolve({ text: `${command}: ${error.message}`, passing: false }));
    child.once("close", (status, signal) => {
      file.end(() => resolve(status === 0 ? undefined : explain(output, signal ?? `exit status ${status}`)));
    });
  });
}

function explain(output, status) {
  const [, text, lasting] = knownProblems.find(([pattern]) => pattern.test(output)) ?? [];
  return {
    text: `${text ?? `the installation failed with ${status}`} (all of its output: ${log})`,
    passing: lasting !== "lasting",
  };
}

async function install() {
  // Whoever held the lock before us may have done the work.
  if (isReady()) return 0;
  console.error("bootstrap: installing the project's own Node, pnpm and dependencies (a minute at the most) …");
  const started = Date.now();
  let problem = await execute(installation());
  // npx of two clones at once can trip over its shared cache, and registries have bad moments.
  if (problem?.passing) problem = await execute(installation());
  problem = problem?.text;
  if (problem === undefined && !existsSync(projectNode)) {
    problem =
      "the project's own Node was not installed: are optional dependencies switched off in npm's configuration?";
  }
  if (problem !== undefined) {
    console.error(`bootstrap: ${problem}`);
    return 1;
  }
  markReady();
  console.error(`bootstrap: ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return 0;
}

process.exitCode = await install();
