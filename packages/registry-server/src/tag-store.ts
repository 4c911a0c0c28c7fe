import type { Digest } from "@varve/digest";

/** What a tag stands for. */
export interface TagTarget {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Something that a repository has a name for. */
export interface NamedTarget {
  /** Absent for what is kept under its digest alone. */
  readonly tag: string | undefined;
  readonly target: TagTarget;
}

/** Keeps the tags of repositories. Names are checked before they come here. */
export interface TagStore {
  /**
   * The one name of a repository that several lead to: who may do what there, and what it has, is asked by this name. Default: each
   * name is of a repository of its own.
   */
  nameOf?(repository: string): string;
  /** Whether clients may push to a repository and delete from it. Default: to every one. */
  isWritable?(repository: string): boolean;
  get(repository: string, tag: string): Promise<TagTarget | undefined>;
  /** Makes a tag, or moves it. */
  put(repository: string, tag: string, target: TagTarget): Promise<void>;
  /** @returns whether there was such a tag */
  delete(repository: string, tag: string): Promise<boolean>;
  /** What a repository has names for, in any order; nothing if there is no such repository. */
  list(repository: string): Promise<readonly NamedTarget[]>;
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
    list: async (repository) => [...(repositories.get(repository) ?? [])].map(([tag, target]) => ({ tag, target })),
    repositories: async () => [...repositories.keys()],
  };
}
