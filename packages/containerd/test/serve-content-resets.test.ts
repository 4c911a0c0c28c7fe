import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { createMemoryContentStore } from "@varve/content-memory";
import { serveContainerd } from "@varve/containerd";
import { expect, test } from "vitest";
// The client's side of the messages is no part of the package's surface.
import { Content } from "../src/gen/containerd/services/content/v1/content_pb.js";

test("6.3: a client may leave thousands of reads before their end, as upstream's does with each that has brought all it wants", async () => {
  const directory = await mkdtemp(join(tmpdir(), "varve-resets-"));
  const content = createMemoryContentStore();
  const writer = await content.writer("a");
  await writer.write(new Uint8Array(1 << 20));
  const digest = await writer.commit();
  const failures: unknown[] = [];
  const address = join(directory, "socket");
  const server = await serveContainerd({ address, content, onError: (failure) => failures.push(failure) });
  let connections = 0;
  const manager = new Http2SessionManager("http://containerd", undefined, {
    createConnection: () => {
      connections += 1;
      return connect(address);
    },
  });
  try {
    const client = createClient(
      Content,
      createGrpcTransport({ baseUrl: "http://containerd", sessionManager: manager }),
    );
    // nghttp2 ends a connection after a thousand, unless it is told otherwise.
    for (let round = 0; round < 2000; round += 1) {
      const abort = new AbortController();
      const messages = client.read({ digest, size: 32_768n }, { signal: abort.signal })[Symbol.asyncIterator]();
      const { value } = await messages.next();
      expect(value?.data).toHaveLength(32_768);
      abort.abort();
    }
    expect(connections).toBe(1);
    expect(failures).toEqual([]);
  } finally {
    manager.abort();
    await server.close();
    await rm(directory, { recursive: true });
  }
}, 60_000);
