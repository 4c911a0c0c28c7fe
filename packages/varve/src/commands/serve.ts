import { once } from "node:events";
import { createImageTagStore, createRegistryServer } from "@varve/registry-server";
import type { Command } from "commander";
import { UsageError } from "../exit-code.ts";
import { withClient } from "../globals.ts";
import type { GlobalOptions } from "../globals.ts";

export function addServeCommand(program: Command, signal: AbortSignal): void {
  program
    .command("serve")
    .description("serve the stored images as a registry, until interrupted; whoever reaches it may read and push")
    .requiredOption("--listen <host:port>", "where to listen, for instance 127.0.0.1:5000")
    .option("--read-only", "refuse pushes and deletions")
    .action(async (own: { listen: string; readOnly?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const address = parseListen(own.listen);
      await withClient(options, async (client) => {
        const server = createRegistryServer({
          content: client.content,
          tags: createImageTagStore(client.images),
          readOnly: own.readOnly,
          onRequest: ({ method, path, status, bytes }) => {
            if (options.progress !== "none") process.stderr.write(`${method} ${path} ${status} ${bytes}\n`);
          },
        });
        try {
          const { host, port } = await server.listen(address);
          process.stdout.write(`listening on ${host.includes(":") ? `[${host}]` : host}:${port}\n`);
          if (!signal.aborted) await once(signal, "abort");
        } finally {
          await server.close();
        }
      });
    });
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([\da-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) throw new UsageError(`serve: --listen ${text}: not HOST:PORT`);
  return { host, port };
}
