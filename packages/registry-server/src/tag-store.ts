import type { Digest } from "@varve/digest";

/** What a tag stands for. */
export interface TagTarget {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Keeps the tags of repositories. Names are checked before they come here. */
export interface TagStore {
  get(repository: string, tag: string): Promise<TagTarget | undefined>;
  /** Makes a tag, or moves it. */
  put(repository: string, tag: string, target: TagTarget): Promise<void>;
  /** @returns whether there was such a tag */
  delete(repository: string, tag: string): Promise<boolean>;
  /** The tags of a repository, in any order; none if there is no such repository. */
  tags(repository: string): Promise<readonly string[]>;
  /** The repositories that have tags, in any order. */
  repositories(): Promise<readonly string[]>;
}

/** Tags that live as long as the process. */
export function createMemoryTagStore(): TagStore {
  const repositories = new Map<string, Map<string, TagTarget>>();
  return {
    get: async (repository, tag) => repositories.get(repository)?.get(tag),
    put: async (repository, tag, target) => {
      const tags = repositories.get(repository) ?? new Map<string, TagTarget>();
      repositories.set(repository, tags.set(tag, target));
    },
    delete: async (repository, tag) => {
      const tags = repositories.get(repository);
      const deleted = tags?.delete(tag) ?? false;
      if (tags?.size === 0) repositories.delete(repository);
      return deleted;
    },
    tags: async (repository) => [...(repositories.get(repository)?.keys() ?? [])],
    repositories: async () => [...repositories.keys()],
  };
}
