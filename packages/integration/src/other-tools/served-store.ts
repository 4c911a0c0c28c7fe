import { join } from "node:path";
import { openContentStore } from "@varve/content-fs";
import { createRegistryServer } from "@varve/registry-server";
import type { RegistryServerOptions, RequestRecord } from "@varve/registry-server";

/** Our own registry over a content store on disk. */
export interface ServedStore extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly records: readonly RequestRecord[];
}

/** Serves a new store in `directory`, at a free port of loopback. */
export async function serveStore(
  directory: string,
  options: Omit<RegistryServerOptions, "content"> = {},
): Promise<ServedStore> {
  const content = await openContentStore({ root: join(directory, "content"), durability: "none" });
  const records: RequestRecord[] = [];
  const server = createRegistryServer({ ...options, content, onRequest: (record) => records.push(record) });
  const { host, port } = await server.listen();
  return {
    host: `${host}:${port}`,
    records,
    async [Symbol.asyncDispose]() {
      await server.close();
      await content.close();
    },
  };
}
