import { inject } from "vitest";
import type { Environment } from "./global-setup.ts";

/** The environment of this run. Tests say `test.skipIf(environment.missing !== undefined)`. */
export const environment: Environment = inject("environment");

/** Every real image in every form, and the layout that umoci reads it from. */
export const images: readonly { readonly name: string; readonly reference: string; readonly layout: string }[] = (
  ["debian", "app"] as const
).flatMap((image) =>
  ["oci-gzip", "oci-zstd", "docker-gzip"].map((tag) => ({
    name: `${image}:${tag}`,
    reference: `${environment.registry}/${image}:${tag}`,
    layout: environment.corpus[image],
  })),
);
