import type { Digest } from "@varve/digest";
import type { ImageNeeds } from "./image-needs.ts";

/** Which images need what. */
export class Users {
  readonly #byContent: Map<string, string[]> = new Map();
  readonly #byChain: Map<string, string[]> = new Map();

  constructor(images: readonly ImageNeeds[]) {
    for (const { namespace, image, digests, chains } of images) {
      for (const digest of digests) add(this.#byContent, `${namespace} ${digest}`, image.name);
      for (const name of new Set(chains.flatMap((chain) => chain.names))) {
        add(this.#byChain, `${namespace} ${name}`, image.name);
      }
    }
  }

  /** Names of the images in these namespaces that refer to a blob. */
  ofBlob(namespaces: Iterable<string>, digest: Digest): readonly string[] {
    const names = [...namespaces].flatMap((namespace) => this.#byContent.get(`${namespace} ${digest}`) ?? []);
    return [...new Set(names)].toSorted();
  }

  /** Names of the images of the namespace whose layers unpack to a snapshot. */
  ofSnapshot(namespace: string, name: string): readonly string[] {
    return this.#byChain.get(`${namespace} ${name}`)?.toSorted() ?? [];
  }
}

function add(map: Map<string, string[]>, key: string, name: string): void {
  const names = map.get(key);
  if (names === undefined) map.set(key, [name]);
  else names.push(name);
}
