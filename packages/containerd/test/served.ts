import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import { serveContainerd } from "@varve/containerd";
import type { CallFailure, ContainerdServer, ServeContainerdOptions } from "@varve/containerd";
import type { Snapshotter } from "@varve/snapshots";
// No client of single services is public.
import { Snapshots } from "../src/gen/containerd/services/snapshots/v1/snapshots_pb.js";

/** A connection to a server, by which services are called. */
export interface Caller {
  client<S extends DescService>(service: S): Client<S>;
  /** As if the process of the client had died. */
  cut(): void;
}

export function callerOf(address: string): Caller {
  // Node's client gives a stream up that is answered while more than 10 MB of it wait to be sent.
  const options = { createConnection: () => connect(address), maxSessionMemory: 64 };
  const manager = new Http2SessionManager("http://containerd", undefined, options);
  const transport = createGrpcTransport({ baseUrl: "http://containerd", sessionManager: manager });
  return { client: (service) => createClient(service, transport), cut: () => manager.abort() };
}

export interface Served extends AsyncDisposable {
  readonly server: ContainerdServer;
  readonly snapshots: Client<typeof Snapshots>;
  readonly caller: Caller;
  /** What the server was told of. */
  readonly failures: readonly CallFailure[];
}

/** A server on a socket of its own. */
export async function served(options: Omit<ServeContainerdOptions, "address">): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), "varve-served-"));
  const failures: CallFailure[] = [];
  const address = join(directory, "socket");
  const server = await serveContainerd({ onError: (failure) => failures.push(failure), ...options, address });
  const caller = callerOf(address);
  return {
    server,
    caller,
    failures,
    snapshots: caller.client(Snapshots),
    [Symbol.asyncDispose]: async () => {
      caller.cut();
      await server.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** A server of one snapshotter, by the name `it`. */
export function servedSnapshotter(snapshotter: Snapshotter): Promise<Served> {
  return served({ snapshotters: { it: snapshotter } });
}
