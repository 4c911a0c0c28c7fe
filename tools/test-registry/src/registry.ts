import type { ContentStore } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import type { Descriptor } from "@varve/oci";
import { createMemoryTagStore, createRegistryServer } from "@varve/registry-server";
import type { TagStore } from "@varve/registry-server";

/** A registry on loopback that notes what is asked of it. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly content: ContentStore;
  readonly tags: TagStore;
  /** How often each blob was sent; manifests are not among them. */
  readonly sent: ReadonlyMap<string, number>;
  /** Makes `host/name:latest` stand for a document or an image. */
  tag(name: string, target: Descriptor): Promise<string>;
}

/** Starts an empty registry at a free port. */
export async function startRegistry(): Promise<TestRegistry> {
  const content = createMemoryContentStore();
  const tags = createMemoryTagStore();
  const sent = new Map<string, number>();
  const server = createRegistryServer({
    content,
    tags,
    onRequest: ({ method, path, status }) => {
      const digest = /\/blobs\/(.*)$/.exec(path)?.[1];
      if (digest !== undefined && method === "GET" && status < 300) sent.set(digest, (sent.get(digest) ?? 0) + 1);
    },
  });
  const { port } = await server.listen();
  const host = `127.0.0.1:${port}`;
  return {
    host,
    content,
    tags,
    sent,
    tag: async (name, target) => {
      await tags.put(name, "latest", target);
      return `${host}/${name}:latest`;
    },
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await content.close();
    },
  };
}
