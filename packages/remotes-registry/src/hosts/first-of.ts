import type { EndpointsCallback } from "./endpoint.ts";

/** Asks one after the other; the first that knows servers for a repository decides. */
export function firstOf(...callbacks: readonly EndpointsCallback[]): EndpointsCallback {
  return async (host, repository) => {
    for (const callback of callbacks) {
      const endpoints = await callback(host, repository);
      if (endpoints !== undefined) return endpoints;
    }
    return undefined;
  };
}
