import { once } from "node:events";
import { createImageTagStore, createRegistryServer, createUpstream } from "@varve/registry-server";
import type { RequestRecord, Upstream, UpstreamChoice } from "@varve/registry-server";
import type { HeldStores, Registry } from "@varve/client";
import { UsageError } from "../exit-code.ts";
import { withClient } from "../globals.ts";
import { printNote, printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { hostOf } from "./host-of.ts";
import { withRegistry } from "./with-registry.ts";

interface ServeOptions extends RegistryFlags {
  readonly listen: string;
  readonly readOnly?: boolean;
  readonly delete: boolean;
  readonly upstream?: readonly string[];
  readonly tagMaxAge?: number;
}

export async function serve(run: CommandRun<ServeOptions>): Promise<void> {
  const { options, signal } = run;
  const wanted = parseListen(options.listen);
  const upstreams = (options.upstream ?? []).map((text) => parseUpstream(text));
  // Held: blobs come before the manifest that keeps them.
  const serveHeld = async ({ content, images }: HeldStores, registry?: Registry): Promise<void> => {
    // A pushed image gets the name it was pushed under, and a free port is known only once the server listens.
    let address = options.listen;
    const [first = address, ...others] = upstreams;
    const server = createRegistryServer({
      content,
      // What comes from one registry has its name in front, as after a pull.
      tags: createImageTagStore(images, {
        host: () => (upstreams.length > 0 && others.length === 0 ? first : address),
      }),
      readOnly: options.readOnly,
      keepAll: !options.delete,
      upstream: registry === undefined ? undefined : chooseUpstream(registry, upstreams),
      upstreamTagMaxAge: options.tagMaxAge,
      onRequest: (record) => {
        if (options.progress !== "none") printNote(lineOf(record));
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
  await withClient(options, (client) =>
    client.hold(async (stores) => {
      if (upstreams.length === 0) return serveHeld(stores);
      return withRegistry(
        run,
        upstreams.map((host) => hostOf(`${host}/x`)),
        (registry) => serveHeld(stores, registry),
      );
    }),
  );
}

/** Of one upstream everything is asked, whatever clients call it; of several, the one that they name. */
function chooseUpstream(registry: Registry, hosts: readonly string[]): UpstreamChoice | undefined {
  const upstreams = new Map<string, Upstream>(hosts.map((host) => [host, createUpstream(registry, host)]));
  const [only] = upstreams.values();
  return upstreams.size === 1 ? only : (ns) => upstreams.get(ns ?? "");
}

function lineOf({ method, path, status, bytes, error }: RequestRecord): string {
  const why = error instanceof Error ? `: ${error.message}` : "";
  return `${method} ${path} ${status} ${bytes}${why}`;
}

function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([\da-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) throw new UsageError(`serve: --listen ${text}: not HOST:PORT`);
  return { host, port };
}

function parseUpstream(text: string): string {
  if (
    /^(?:[a-zA-Z0-9][a-zA-Z0-9.-]{0,252}|\[[\da-fA-F:]+\])(?::\d{1,5})?$/.test(text) &&
    /[.:]|^localhost/.test(text)
  ) {
    return text;
  }
  throw new UsageError(`serve: --upstream ${text}: not a registry such as docker.io or 127.0.0.1:5000`);
}
