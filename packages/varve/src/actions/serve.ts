import { once } from "node:events";
import { createImageTagStore, createRegistryServer } from "@varve/registry-server";
import type { HeldStores } from "@varve/client";
import { UsageError } from "../exit-code.ts";
import { withClient } from "../globals.ts";
import { printNote, printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

interface ServeOptions {
  readonly listen: string;
  readonly readOnly?: boolean;
}

export async function serve({ options, signal }: CommandRun<ServeOptions>): Promise<void> {
  const wanted = parseListen(options.listen);
  // Held: blobs come before the manifest that keeps them.
  const serveHeld = async ({ content, images }: HeldStores): Promise<void> => {
    // A pushed image gets the name it was pushed under, and a free port is known only once the server listens.
    let address = options.listen;
    const server = createRegistryServer({
      content,
      tags: createImageTagStore(images, { host: () => address }),
      readOnly: options.readOnly,
      onRequest: ({ method, path, status, bytes }) => {
        if (options.progress !== "none") printNote(`${method} ${path} ${status} ${bytes}`);
      },
    });
    try {
      const { host, port } = await server.listen(wanted);
      address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
      await printResult(options.json, { address }, () => [`listening on ${address}`]);
      if (!signal.aborted) await once(signal, "abort");
    } finally {
      await server.close();
    }
  };
  await withClient(options, (client) => client.hold(serveHeld));
}

function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([\da-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) throw new UsageError(`serve: --listen ${text}: not HOST:PORT`);
  return { host, port };
}
