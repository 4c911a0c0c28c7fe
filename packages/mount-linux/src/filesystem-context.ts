import { readSync } from "node:fs";
import * as sys from "@varve/syscalls";
import { mustSucceed, refused } from "./mount-error.ts";
import { wantsReadOnly } from "./parsed-options.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/** A filesystem being configured. */
export interface FilesystemContext {
  readonly fd: number;
  /** For messages. */
  readonly type: string;
}

/** Starts a filesystem, runs `body` with it, and closes its handle. */
export function withFilesystem<T>(type: string, body: (context: FilesystemContext) => T): T {
  const fd = mustSucceed(sys.tryFsopen(type, sys.FSOPEN_CLOEXEC), `filesystem ${type}`, "fsopen");
  try {
    return body({ fd, type });
  } finally {
    sys.close(fd);
  }
}

/** Sets one parameter; an error says which, and what the kernel says about it. */
export function setParameter(context: FilesystemContext, parameter: sys.FsParameter, about?: string): void {
  const result = sys.tryFsconfig(context.fd, parameter);
  if (result < 0) throw explained(context, about ?? `option ${parameter.key}`, "fsconfig", result);
}

/**
 * Sets what stands in options as `key` or `key=value`, makes the filesystem, and returns its mount, not attached yet.
 *
 * @param create makes the filesystem from the parameters set
 */
export function finish(
  context: FilesystemContext,
  source: string,
  options: ParsedOptions,
  create: () => void = () => createFilesystem(context),
): number {
  if (source !== "") setParameter(context, { key: "source", value: source }, `source ${source}`);
  if (wantsReadOnly(options)) setParameter(context, { key: "ro" });
  setOptions(context, options);
  create();
  const mount = sys.tryFsmount(context.fd, sys.FSMOUNT_CLOEXEC, options.set);
  if (mount < 0) throw explained(context, `filesystem ${context.type}`, "fsmount", mount);
  return mount;
}

/** Sets the filesystem's own options. */
export function setOptions(context: FilesystemContext, options: ParsedOptions): void {
  for (const parameter of options.parameters) setParameter(context, parseParameter(parameter));
}

/** Makes the filesystem from the parameters set. */
export function createFilesystem(context: FilesystemContext): void {
  const result = sys.tryFsconfigCreate(context.fd);
  if (result < 0) throw explained(context, `filesystem ${context.type}`, "fsconfig", result);
}

/** Puts the parameters set into force for a filesystem that is mounted. */
export function reconfigureFilesystem(context: FilesystemContext): void {
  const result = sys.tryFsconfigReconfigure(context.fd);
  if (result < 0) throw explained(context, "remount", "fsconfig", result);
}

function parseParameter(option: string): sys.FsParameter {
  const equals = option.indexOf("=");
  if (equals === -1) return { key: option };
  return { key: option.slice(0, equals), value: option.slice(equals + 1) };
}

function explained(context: FilesystemContext, about: string, syscall: string, result: number): Error {
  return refused({ about: `${context.type}: ${about}`, syscall, result, explanation: readLog(context.fd) });
}

/** The kernel's messages on this context, one a read, each with a letter for its gravity in front. */
function readLog(fd: number): string | undefined {
  const buffer = Buffer.alloc(1024);
  const messages: string[] = [];
  // The kernel keeps eight.
  for (let round = 0; round < 16; round += 1) {
    const length = readMessage(fd, buffer);
    if (length === 0) break;
    messages.push(
      buffer
        .toString("utf8", 0, length)
        .replace(/^[ewi] /, "")
        .trim(),
    );
  }
  return messages.length === 0 ? undefined : messages.join("; ");
}

function readMessage(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer);
  } catch {
    // ENODATA: there are no more.
    return 0;
  }
}
