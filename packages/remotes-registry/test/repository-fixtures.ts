import type { Repository } from "@varve/remotes";
import { createRegistryResolver } from "@varve/remotes-registry";
import type { RegistryResolverOptions } from "@varve/remotes-registry";

/** The repository `lib/app` of a registry, and what closes it. */
export function testRepository(
  registry: { readonly host: string },
  options: RegistryResolverOptions = {},
): { readonly repository: Repository } & AsyncDisposable {
  const resolver = createRegistryResolver({ plainHttp: true, retryDelay: 1, ...options });
  return {
    repository: resolver.repository(`${registry.host}/lib/app`),
    [Symbol.asyncDispose]: () => resolver.close(),
  };
}

export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of source) found.push(one);
  return found;
}
