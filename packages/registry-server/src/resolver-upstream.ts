import type { CallOptions } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { hasRepositories } from "@varve/remotes";
import type { Repository, Resolver } from "@varve/remotes";
import type { Upstream } from "./upstream.ts";

/**
 * One registry as upstream, through a resolver, and with its credentials, retries and mirrors. The resolver is not closed.
 *
 * @param host the registry as it is written in references, such as `docker.io` or `registry.example:5000`
 */
export function createUpstream(resolver: Resolver, host: string): Upstream {
  const resolve = (reference: string, options: CallOptions): Promise<Descriptor | undefined> =>
    unlessMissing(async () => (await resolver.resolve(reference, options)).descriptor);
  const repositoryOf = (repository: string): Repository => {
    if (hasRepositories(resolver)) return resolver.repository(`${host}/${repository}`);
    throw new CodedError("ERR_NOT_IMPLEMENTED", `upstream ${host}: its repositories cannot be looked into`);
  };
  return {
    resolve: (repository, tag, options) => resolve(`${host}/${repository}:${tag}`, options),
    manifest: (repository, digest, options) => resolve(`${host}/${repository}@${digest}`, options),
    blob: (repository, digest, options) => unlessMissing(() => repositoryOf(repository).blob(digest, options)),
    fetch: (repository, descriptor, options) =>
      resolver.fetcher(`${host}/${repository}@${descriptor.digest}`).fetch(descriptor, options),
    tags: (repository, options) => repositoryOf(repository).tags(options),
    referrers: (repository, subject, options) => repositoryOf(repository).referrers(subject, options),
  };
}

async function unlessMissing(question: () => Promise<Descriptor>): Promise<Descriptor | undefined> {
  try {
    return await question();
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
}
