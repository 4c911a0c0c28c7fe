import type { Digest } from "@varve/digest";
import { readPlatform, platformFields } from "./descriptor.ts";
import { JsonObject, defined } from "./json-object.ts";
import type { Platform } from "./platform.ts";

/** How a container of the image is started. Fields not listed here are kept when read. */
export interface ContainerConfig {
  readonly User?: string | undefined;
  readonly ExposedPorts?: Readonly<Record<string, unknown>> | undefined;
  readonly Env?: readonly string[] | undefined;
  readonly Entrypoint?: readonly string[] | undefined;
  readonly Cmd?: readonly string[] | undefined;
  readonly Volumes?: Readonly<Record<string, unknown>> | undefined;
  readonly WorkingDir?: string | undefined;
  readonly Labels?: Readonly<Record<string, string>> | undefined;
  readonly StopSignal?: string | undefined;
}

/** One step of the image's making. */
export interface HistoryEntry {
  readonly created?: string | undefined;
  readonly created_by?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  /** The step made no layer. */
  readonly empty_layer?: boolean | undefined;
}

/** What an image runs on, what its layers unpack to, and how it is started. Fields not listed here are kept when read. */
export interface ImageConfig extends Platform {
  readonly created?: string | undefined;
  readonly author?: string | undefined;
  readonly config?: ContainerConfig | undefined;
  readonly rootfs: {
    /** `layers`, as far as images go. */
    readonly type: string;
    /** The digest of each uncompressed layer, the lowest first. */
    readonly diff_ids: readonly Digest[];
  };
  readonly history?: readonly HistoryEntry[] | undefined;
}

const configFields = [...platformFields, "created", "author", "config", "rootfs", "history"];
const rootfsFields = ["type", "diff_ids"];
const historyFields = ["created", "created_by", "author", "comment", "empty_layer"];
const containerFields = [
  "User",
  "ExposedPorts",
  "Env",
  "Entrypoint",
  "Cmd",
  "Volumes",
  "WorkingDir",
  "Labels",
  "StopSignal",
];

/** The platform an image says it is for. */
export function configPlatform(config: ImageConfig): Platform {
  return {
    architecture: config.architecture,
    os: config.os,
    ...defined({
      variant: config.variant,
      "os.version": config["os.version"],
      "os.features": config["os.features"],
    }),
  };
}

export function readImageConfig(value: unknown, subject: string): ImageConfig {
  const source = new JsonObject(value, subject, "", configFields);
  const rootfs = source.required("rootfs", source.object("rootfs", rootfsFields));
  const config = source.object("config", containerFields);
  return {
    ...source.fields,
    ...readPlatform(source),
    rootfs: { ...rootfs.fields, type: rootfs.text("type") ?? "", diff_ids: rootfs.digests("diff_ids") ?? [] },
    ...defined({
      created: source.text("created"),
      author: source.text("author"),
      config: config && readContainerConfig(config),
      history: source.objects("history", historyFields)?.map(readHistoryEntry),
    }),
  };
}

function readContainerConfig(source: JsonObject): ContainerConfig {
  return {
    ...source.fields,
    ...defined({
      User: source.text("User"),
      ExposedPorts: source.record("ExposedPorts"),
      Env: source.texts("Env"),
      Entrypoint: source.texts("Entrypoint"),
      Cmd: source.texts("Cmd"),
      Volumes: source.record("Volumes"),
      WorkingDir: source.text("WorkingDir"),
      Labels: source.textMap("Labels"),
      StopSignal: source.text("StopSignal"),
    }),
  };
}

function readHistoryEntry(source: JsonObject): HistoryEntry {
  return {
    ...source.fields,
    ...defined({
      created: source.text("created"),
      created_by: source.text("created_by"),
      author: source.text("author"),
      comment: source.text("comment"),
      empty_layer: source.flag("empty_layer"),
    }),
  };
}
