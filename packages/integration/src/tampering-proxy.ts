import { createServer } from "node:http";
import type { ServerResponse } from "node:http";

/** Changes the bytes of one blob on their way; a shorter result is sent with the old length and cut off. */
export type Tamper = (body: Buffer) => Buffer;

/** A registry that lies: it passes everything on to a real one, and changes the largest blobs. */
export interface TamperingProxy extends AsyncDisposable {
  readonly host: string;
  /** What to do to blobs of more than 4 kB from now on; nothing when absent. */
  tamper(how: Tamper | undefined): void;
}

export async function startTamperingProxy(registry: string): Promise<TamperingProxy> {
  let current: Tamper | undefined;
  const server = createServer((request, response) => {
    const { range, accept } = request.headers;
    const headers = new Headers();
    if (accept !== undefined) headers.set("accept", accept);
    // A changed body has no ranges that fit.
    if (range !== undefined && current === undefined) headers.set("range", range);
    fetch(`http://${registry}${request.url}`, { method: request.method ?? "GET", headers })
      .then((answer) => pass(answer, response, current))
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    tamper: (how) => void (current = how),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function pass(answer: Response, response: ServerResponse, tamper: Tamper | undefined): Promise<void> {
  const body = Buffer.from(await answer.arrayBuffer());
  const changed = tamper !== undefined && body.length > 4096 ? tamper(body) : body;
  const headers: Record<string, string> = {};
  for (const name of ["content-type", "docker-content-digest", "content-range", "location", "www-authenticate"]) {
    const value = answer.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  headers["content-length"] = answer.headers.get("content-length") ?? String(body.length);
  response.writeHead(answer.status, headers);
  response.write(changed, () => {
    if (changed.length < body.length) response.destroy();
    else response.end();
  });
  if (changed.length === 0) response.end();
}
