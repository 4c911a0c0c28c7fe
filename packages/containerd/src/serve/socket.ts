import type { Stats } from "node:fs";
import { chmod, link, lstat, mkdtemp, open, rm, unlink } from "node:fs/promises";
import { connect } from "node:net";
import type { Server } from "node:net";
import { basename, dirname, join } from "node:path";
import { CodedError } from "@varve/errors";

/** What fits into `sun_path`, without the zero behind it. */
const longest = 107;

/** @throws ERR_INVALID_ARGUMENT no socket can have that path */
export function checkAddress(address: string): void {
  const size = Buffer.byteLength(address);
  if (size > 0 && size <= longest && !address.includes("\0")) return;
  const why = size > longest ? `${size} bytes are too long for a socket, at most ${longest} are allowed` : "is no path";
  throw new CodedError("ERR_INVALID_ARGUMENT", `socket ${address}: ${why}`);
}

/** A path that a server of ours listens on. */
export interface ClaimedSocket {
  /** Removes it, unless it is somebody else's by now. */
  remove(): Promise<void>;
}

type Listening = Pick<Server, "listen" | "once" | "off" | "close">;

/**
 * Has `server` listen on a Unix socket that only this user may connect to; closes it if that cannot be.
 *
 * It is made aside and linked to its path, which fails if there is something. So nobody sees it before it has its mode, two that start
 * at once cannot both have it, and libuv, which removes the path that it bound when it closes, removes nothing of somebody else's.
 *
 * @throws ERR_ALREADY_EXISTS somebody listens there, or it is not a socket
 */
export async function listenOn(server: Listening, address: string): Promise<ClaimedSocket> {
  const aside = await mkdtemp(join(dirname(address), ".varve-"));
  try {
    // Through a descriptor, as this path may be too long where the other is not.
    const directory = await open(aside);
    try {
      // A name of its own: libuv asks for its removal when the number of the descriptor may stand for something else.
      const name = basename(aside);
      const socket = join(aside, name);
      await listening(server, `/proc/self/fd/${directory.fd}/${name}`);
      return await publish(socket, address).catch((error: unknown) => {
        server.close();
        throw error;
      });
    } finally {
      await directory.close();
    }
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function publish(socket: string, address: string): Promise<ClaimedSocket> {
  await chmod(socket, 0o600);
  await linkTo(socket, address);
  const { dev, ino } = await lstat(socket);
  return { remove: () => removeIf(address, (found) => found.dev === dev && found.ino === ino) };
}

function listening(server: Listening, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function linkTo(socket: string, address: string): Promise<void> {
  for (;;) {
    try {
      await link(socket, address);
      return;
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    await removeStale(address);
  }
}

async function removeStale(address: string): Promise<void> {
  const before = await statOf(address);
  if (before === undefined) return;
  if (!before.isSocket()) throw new CodedError("ERR_ALREADY_EXISTS", `socket ${address}: something else is there`);
  if (await isListenedOn(address)) {
    throw new CodedError("ERR_ALREADY_EXISTS", `socket ${address}: somebody listens on it already`);
  }
  await removeIf(address, (found) => found.dev === before.dev && found.ino === before.ino);
}

function isListenedOn(address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      if (isErrno(error, "ECONNREFUSED", "ENOENT")) resolve(false);
      // Its queue is full: it is there, and busy.
      else if (isErrno(error, "EAGAIN")) resolve(true);
      else reject(error);
    });
  });
}

async function removeIf(address: string, isMeant: (found: Stats) => boolean): Promise<void> {
  const found = await statOf(address);
  if (found === undefined || !isMeant(found)) return;
  await unlink(address).catch((error: unknown) => {
    if (!isErrno(error, "ENOENT")) throw error;
  });
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code);
}
