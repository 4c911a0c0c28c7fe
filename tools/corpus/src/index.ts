export { buildCorpus } from "./corpus.ts";
export type { Corpus } from "./corpus.ts";
export { startDockerRegistry } from "./docker-registry.ts";
export type { DockerRegistry } from "./docker-registry.ts";
export { pushCorpus } from "./push-corpus.ts";
export { bash, exec, missingPrograms } from "./shell.ts";
export type { Ran } from "./shell.ts";
export { temporaryDirectory } from "./temporary-directory.ts";
