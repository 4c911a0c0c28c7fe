import { createServer, request as ask } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

/** Stands before a registry and knows at once what it is asked. The registry's own log may lag behind its answers. */
export interface HttpFront extends AsyncDisposable {
  readonly host: string;
  /** So far: `GET /v2/app/blobs/sha256:…`. */
  readonly requests: string[];
}

export interface HttpFrontOptions {
  /** May change the headers of a request before it is passed on. */
  readonly onHeaders?: ((headers: IncomingHttpHeaders) => void) | undefined;
}

/** Passes requests on to a registry on loopback, each on a connection of its own. */
export async function startHttpFront(registry: string, options: HttpFrontOptions = {}): Promise<HttpFront> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    options.onHeaders?.(request.headers);
    pass(registry, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function pass(registry: string, request: IncomingMessage, response: ServerResponse): void {
  const { connection: _theirs, ...headers } = request.headers;
  const { method, url } = request;
  const upstream = ask(`http://${registry}`, { agent: false, headers, method, path: url }, (answer) => {
    const { connection: _ours, ...told } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, told);
    answer.on("error", () => response.destroy()).pipe(response);
  });
  upstream.on("error", () => response.destroy());
  response.on("close", () => upstream.destroy());
  request.on("error", () => upstream.destroy()).pipe(upstream);
}
