import type { IncomingMessage } from "node:http";

const maxBytes = 16 * 1024 * 1024;
const maxTime = 2000;

/** Reads and forgets what is left of a body, within limits. Never rejects. */
export async function drain(request: IncomingMessage, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    let bytes = 0;
    const finish = (): void => {
      clearTimeout(timer);
      request.off("data", count).off("end", finish).off("close", finish);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const count = (chunk: Uint8Array): void => {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) finish();
    };
    const timer = setTimeout(finish, maxTime);
    if (request.destroyed || request.complete || signal.aborted) {
      finish();
      return;
    }
    signal.addEventListener("abort", finish, { once: true });
    request.on("end", finish).on("close", finish).on("data", count).resume();
  });
}
