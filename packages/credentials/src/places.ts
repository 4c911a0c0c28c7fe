import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { CredentialsOptions } from "./open-credentials.ts";

/** Somewhere credentials are kept. */
export type Place = FilePlace | VariablePlace;

export interface FilePlace {
  readonly type: "file";
  readonly path: string;
  /** `.dockercfg`, which has no field around its entries. */
  readonly legacy: boolean;
}

interface VariablePlace {
  readonly type: "variable";
  readonly name: string;
  readonly text: string;
}

export interface Places {
  /** In the order in which they are asked. */
  readonly all: readonly Place[];
  /** Where a login is kept unless an earlier place has one; `undefined`: there is no such file. */
  readonly login: FilePlace | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Finds out which places the options and the environment name. */
export function placesFrom(options: CredentialsOptions): Places {
  const { file, environment = process.env } = options;
  if (file !== undefined) return { all: [fileAt(file)], login: fileAt(file) };
  const home = set(environment["HOME"]) ?? (options.environment === undefined ? homedir() : undefined);
  const { files, login } = filesFrom(environment, home);
  const text = set(environment["DOCKER_AUTH_CONFIG"]);
  if (text === undefined) return { all: files, login };
  const variable: VariablePlace = { type: "variable", name: "DOCKER_AUTH_CONFIG", text };
  return { all: filesFirst(environment) ? [...files, variable] : [variable, ...files], login };
}

function filesFrom(environment: Environment, home: string | undefined): { files: FilePlace[]; login?: FilePlace } {
  const dockerConfig = set(environment["DOCKER_CONFIG"]);
  const only = set(environment["REGISTRY_AUTH_FILE"]) ?? (dockerConfig && join(dockerConfig, "config.json"));
  if (only !== undefined) return { files: [fileAt(only)], login: fileAt(only) };
  const runtime = set(environment["XDG_RUNTIME_DIR"]) ?? defaultRuntime();
  const config = set(environment["XDG_CONFIG_HOME"]) ?? (home && join(home, ".config"));
  const containers = [runtime, config].filter((directory) => directory !== undefined);
  const files = containers.map((directory) => fileAt(join(directory, "containers", "auth.json")));
  if (home === undefined) return { files };
  const login = fileAt(join(home, ".docker", "config.json"));
  return { files: [...files, login, { ...fileAt(join(home, ".dockercfg")), legacy: true }], login };
}

/** Where podman has its file for users without a runtime directory; root, most of the time. */
function defaultRuntime(): string | undefined {
  const uid = process.getuid?.();
  return uid === undefined || process.platform !== "linux" ? undefined : `/run/containers/${uid}`;
}

/**
 * GitLab sets DOCKER_AUTH_CONFIG for its own use in every job, where it must not hide what `docker login` was told
 * (docker/cli#6156).
 */
function filesFirst(environment: Environment): boolean {
  const order = set(environment["DOCKER_AUTH_ORDER"])?.replaceAll(/\s/g, "");
  if (order === "config,env" || order === "env,config") return order === "config,env";
  return environment["GITLAB_CI"] === "true";
}

function fileAt(path: string): FilePlace {
  return { type: "file", path: resolve(path), legacy: false };
}

function set(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}
