// node tools/bootstrap/run.mjs COMMAND [ARGUMENT…]
// Bootstraps, then runs a script of this project with the project's own Node, or a tool of `node_modules/.bin`.
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { bootstrap } from "./bootstrap.mjs";
import { projectNode, root } from "./ready.mjs";

function commandLine([command, ...args]) {
  if (/\.(ts|mjs)$/.test(command)) return [projectNode, join(root, command), ...args];
  return [join(root, "node_modules", ".bin", command), ...args];
}

function run(argv) {
  const [command, ...args] = commandLine(argv);
  const env = {
    ...process.env,
    PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`,
    DO_NOT_TRACK: "1",
    TURBO_TELEMETRY_DISABLED: "1",
  };
  const child = spawn(command, args, { cwd: root, env, stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.once("error", (error) => {
    console.error(`run: ${command}: ${error.message}`);
    process.exitCode = 127;
  });
  child.once("close", (status, signal) => {
    if (signal === null) {
      process.exitCode = status;
      return;
    }
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const status = await bootstrap();
if (status === 0) run(process.argv.slice(2));
else process.exitCode = status;
