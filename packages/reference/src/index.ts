export { familiarName, formatReference, isDockerHub, parseReference, registryHost } from "./reference.ts";
export type { Reference, ReferenceParts } from "./reference.ts";
