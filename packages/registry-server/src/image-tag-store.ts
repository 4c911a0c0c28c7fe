import { hasCode } from "@varve/errors";
import type { ImageStore } from "@varve/images";
import type { NamedTarget, TagStore } from "./tag-store.ts";

export interface ImageTagStoreOptions {
  /**
   * The registry that repositories without one belong to, such as `localhost:5000`: the repository `team/app` then holds
   * the images `localhost:5000/team/app:…`, and images of other registries can be read, but not pushed or deleted. A function is
   * asked each time. Default: none is put in front.
   */
  readonly host?: string | (() => string) | undefined;
}

/**
 * Image records as tags: the image `docker.io/library/debian:12` is tag `12` of the repository
 * `docker.io/library/debian`, and a pushed tag becomes an image of that name. Images named by digest are in the repository too.
 */
export function createImageTagStore(images: ImageStore, options: ImageTagStoreOptions = {}): TagStore {
  const { host } = options;
  const prefixOf = (): string => (host === undefined ? "" : `${typeof host === "string" ? host : host()}/`);
  const full = (repository: string): string => (hasHost(repository) ? repository : `${prefixOf()}${repository}`);
  const nameOf = (repository: string): string => {
    const prefix = prefixOf();
    const rest = repository.slice(prefix.length);
    return prefix !== "" && repository.startsWith(prefix) && !hasHost(rest) ? rest : repository;
  };
  return {
    nameOf,
    // What is pushed here must not become what the owner of the images takes for another registry's.
    isWritable: (repository) => host === undefined || !hasHost(repository),
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
    async list(repository) {
      const found: NamedTarget[] = [];
      for await (const { name, tag, target } of namedImages(images)) {
        if (name !== full(repository)) continue;
        const { mediaType, digest, size } = target;
        found.push({ tag, target: { mediaType, digest, size } });
      }
      return found;
    },
    async repositories() {
      const names = new Set<string>();
      for await (const { name, tag } of namedImages(images)) if (tag !== undefined) names.add(nameOf(name));
      return [...names];
    },
  };
}

/** As in references: a first part with a dot or a port is a host. */
function hasHost(repository: string): boolean {
  const slash = repository.indexOf("/");
  return slash > 0 && /[.:]/.test(repository.slice(0, slash));
}

/** The images whose names are those of something in a repository: by tag, by digest, or both; then the digest counts. */
async function* namedImages(
  images: ImageStore,
): AsyncGenerator<{ readonly name: string } & NamedTarget, void, undefined> {
  for await (const { name, target } of images.list()) {
    const at = name.indexOf("@");
    const tagged = at < 0 ? name : name.slice(0, at);
    const colon = tagged.lastIndexOf(":");
    const tag = tagged.slice(colon + 1);
    const hasTag = colon > 0 && /^\w[\w.-]{0,127}$/.test(tag);
    if (at > 0) yield { name: hasTag ? tagged.slice(0, colon) : tagged, tag: undefined, target };
    else if (hasTag) yield { name: tagged.slice(0, colon), tag, target };
  }
}
