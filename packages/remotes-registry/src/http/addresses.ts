import { lookup as systemLookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import type { Socket } from "node:net";
import { untilAborted } from "@varve/locks";

/** Finds the addresses of a name, as `lookup` of `node:dns/promises` does. */
export type Lookup = (hostname: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

// After so long without an answer the next address is tried as well (RFC 8305, "Connection Attempt Delay").
const attemptDelay = 250;

/**
 * Connects to the first address of a host that answers. An address that hangs does not hold up the others, and none is given
 * up before the caller's time is over: whoever answers first is taken, and the other attempts end.
 *
 * @param hostname a name, or an address without brackets
 */
export async function connectToHost(
  hostname: string,
  port: number,
  signal: AbortSignal,
  lookup: Lookup = (name) => systemLookup(name, { all: true }),
): Promise<Socket> {
  signal.throwIfAborted();
  if (isIP(hostname) !== 0) return connectToFirst([hostname], port, signal);
  const found = await untilAborted(lookup(hostname), signal);
  return connectToFirst(alternating(found), port, signal);
}

/** The system's order, but a family that does not work is left with the second attempt. */
function alternating(found: Awaited<ReturnType<Lookup>>): string[] {
  const first = found.filter(({ family }) => family === found[0]?.family);
  const second = found.filter(({ family }) => family !== found[0]?.family);
  return Array.from({ length: Math.max(first.length, second.length) }, (_, index) => [first[index], second[index]])
    .flat()
    .flatMap((entry) => (entry === undefined ? [] : [entry.address]));
}

function connectToFirst(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const waiting = [...addresses];
    const attempts = new Set<Socket>();
    const failures: Error[] = [];
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      for (const socket of attempts) socket.destroy();
    };
    const abort = (): void => {
      end();
      reject(signal.reason);
    };
    const next = (): void => {
      clearTimeout(timer);
      const host = waiting.shift();
      if (host === undefined) {
        if (attempts.size > 0) return;
        end();
        reject(failures.length === 1 ? failures[0] : new AggregateError(failures, "no address answers"));
        return;
      }
      timer = setTimeout(next, attemptDelay);
      const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
      attempts.add(socket);
      const failed = (error: Error): void => {
        attempts.delete(socket);
        failures.push(error);
        next();
      };
      socket.once("error", failed);
      socket.once("connect", () => {
        socket.removeListener("error", failed);
        attempts.delete(socket);
        end();
        resolve(socket);
      });
    };
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    next();
  });
}
