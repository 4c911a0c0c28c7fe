import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { addDurability } from "./layer-options.ts";

export function addContainerd(program: Command, run: Run): void {
  const containerd = program.command("containerd").description("varve's stores inside of a containerd");
  const serving = containerd
    .command("serve")
    .description(
      "serve a content store and snapshotters to the proxy_plugins of one containerd, until interrupted; they are in containerd below the root",
    )
    .requiredOption("--address <socket>", "where to listen: the path of a Unix socket");
  addDurability(serving).action(async (_own: unknown, command: Command) => {
    const { serveBackends } = await import("../actions/serve-backends.ts");
    await serveBackends(run(command));
  });
}
