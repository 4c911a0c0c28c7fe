import { missingPrograms, startDockerRegistry } from "@varve-tools/corpus";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { readRemote } from "@varve/remotes";
import { createRegistryResolver } from "@varve/remotes-registry";
import type { RegistryExchange } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";

const missing = await missingPrograms(["docker-registry"]);
const layer = Buffer.alloc(300_000, "layer");
const config = Buffer.from("{}");

function descriptorOf(mediaType: string, bytes: Buffer): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

describe.skipIf(missing.length > 0)(
  `docker-registry${missing.length > 0 ? ` (not installed: ${missing.join(", ")})` : ""}`,
  () => {
    // A1, M1, M12, B2
    test("gives an OCI manifest byte for byte and a blob from its middle on, and is told nobody's password", async () => {
      await using registry = await startDockerRegistry();
      const exchanges: RegistryExchange[] = [];
      const resolver = createRegistryResolver({
        credentials: async () => ({ username: "me", password: "planted-secret" }),
        onExchange: (exchange) => exchanges.push(exchange),
      });
      try {
        const name = `${registry.host}/team/app:v1`;
        const first = descriptorOf(mediaTypes.ociLayer, layer);
        // With what nobody knows, and in a form that no printer of JSON would choose.
        const manifest = Buffer.from(
          `{ "mediaType":"${mediaTypes.ociManifest}",\n"schemaVersion": 2, "config":` +
            `${JSON.stringify(descriptorOf(mediaTypes.ociConfig, config))}, "layers":${JSON.stringify([first])},\t` +
            `"annotations":{"z":"\\u00e9","a":"1"}, "com.example.unknown":[1.50, null] }`,
        );
        const target = descriptorOf(mediaTypes.ociManifest, manifest);
        const pusher = resolver.pusher(name);
        for (const bytes of [layer, config]) {
          const body = (offset: number): AsyncIterable<Uint8Array> => chunksOf(bytes.subarray(offset));
          await pusher.push(descriptorOf(mediaTypes.ociLayer, bytes), { body });
        }
        await pusher.push(target, { body: () => chunksOf(manifest), tags: ["v1"] });

        exchanges.length = 0;
        const { descriptor } = await resolver.resolve(name);
        expect(descriptor).toEqual(target);
        expect(exchanges.map(({ method, status }) => `${method} ${status}`)).toEqual(["HEAD 200"]);
        expect(await readRemote(resolver.fetcher(name), descriptor)).toEqual(manifest);
        const rest = await Array.fromAsync(resolver.fetcher(name).fetch(first, { offset: 1e5 }));
        expect(Buffer.concat(rest)).toEqual(layer.subarray(1e5));
        expect(exchanges.at(-1)).toMatchObject({ method: "GET", status: 206 });
        for (const { requestHeaders } of exchanges) expect(requestHeaders).not.toHaveProperty("authorization");
      } finally {
        await resolver.close();
      }
    });
  },
);

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
