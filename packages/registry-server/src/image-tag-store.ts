import { hasCode } from "@varve/errors";
import type { ImageStore } from "@varve/images";
import type { TagStore } from "./tag-store.ts";

export interface ImageTagStoreOptions {
  /**
   * The registry that repositories without one belong to, such as `localhost:5000`: the repository `team/app` then holds
   * the images `localhost:5000/team/app:…`. A function is asked each time. Default: none is put in front.
   */
  readonly host?: string | (() => string) | undefined;
}

/**
 * Image records as tags: the image `docker.io/library/debian:12` is tag `12` of the repository
 * `docker.io/library/debian`, and a pushed tag becomes an image of that name.
 */
export function createImageTagStore(images: ImageStore, options: ImageTagStoreOptions = {}): TagStore {
  const { host } = options;
  const prefixOf = (): string => (host === undefined ? "" : `${typeof host === "string" ? host : host()}/`);
  const full = (repository: string): string => (hasHost(repository) ? repository : `${prefixOf()}${repository}`);
  return {
    async get(repository, tag) {
      try {
        const { target } = await images.get(`${full(repository)}:${tag}`);
        return { mediaType: target.mediaType, digest: target.digest, size: target.size };
      } catch (error) {
        if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
        throw error;
      }
    },
    async put(repository, tag, target) {
      await images.put({ name: `${full(repository)}:${tag}`, target });
    },
    async delete(repository, tag) {
      try {
        await images.delete(`${full(repository)}:${tag}`);
        return true;
      } catch (error) {
        if (hasCode(error, "ERR_NOT_FOUND")) return false;
        throw error;
      }
    },
    async tags(repository) {
      const tags: string[] = [];
      for await (const [name, tag] of taggedImages(images)) if (name === full(repository)) tags.push(tag);
      return tags;
    },
    async repositories() {
      const names = new Set<string>();
      for await (const [name] of taggedImages(images)) {
        const prefix = prefixOf();
        names.add(prefix !== "" && name.startsWith(prefix) ? name.slice(prefix.length) : name);
      }
      return [...names];
    },
  };
}

/** As in references: a first part with a dot or a port is a host. */
function hasHost(repository: string): boolean {
  const slash = repository.indexOf("/");
  return slash > 0 && /[.:]/.test(repository.slice(0, slash));
}

/** Repository and tag of each image that has both; images named by digest alone have no tag. */
async function* taggedImages(images: ImageStore): AsyncGenerator<readonly [string, string], void, undefined> {
  for await (const { name } of images.list()) {
    const colon = name.lastIndexOf(":");
    const tag = name.slice(colon + 1);
    if (colon > 0 && !name.includes("@") && /^\w[\w.-]{0,127}$/.test(tag)) yield [name.slice(0, colon), tag];
  }
}
