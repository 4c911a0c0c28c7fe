import { Option } from "commander";
import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { addHosts, addTls } from "./registry-options.ts";

export function addLogin(program: Command, run: Run): void {
  const login = program
    .command("login")
    .description("check user and password at a registry, and keep them where docker would")
    .argument("[registry]", "host, or host:port", "docker.io")
    .option("-u, --username <name>", "(default: ask for it)")
    // Not taken, but known: an unknown option would be repeated in the message, with the password.
    .addOption(new Option("-p, --password <password>").hideHelp())
    .option("--password-stdin", "read the password from standard input (default: ask for it)")
    .option("--identity-token-stdin", "read an identity token instead")
    .option("--skip-check", "keep them without asking the registry");
  addHosts(addTls(addFile(login))).action(async (registry: string, _own: unknown, command: Command) => {
    const actions = await import("../actions/login.ts");
    await actions.login(registry, run(command));
  });
  const logout = program
    .command("logout")
    .description("forget user and password of a registry")
    .argument("[registry]", "host, or host:port", "docker.io");
  addFile(logout).action(async (registry: string, _own: unknown, command: Command) => {
    const actions = await import("../actions/login.ts");
    await actions.logout(registry, run(command));
  });
}

function addFile(command: Command): Command {
  return command.addOption(
    new Option("--authfile <file>", "where they are kept (default: where docker and podman do)").env(
      "REGISTRY_AUTH_FILE",
    ),
  );
}
