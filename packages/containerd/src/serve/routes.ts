import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { constants } from "node:http2";
import { createConnectRouter } from "@connectrpc/connect";
import type { ConnectRouter, ConnectRouterOptions } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";

export type Listener = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/** What answers requests. Unlike Connect's adapter it prints nothing, and no request makes it throw. */
export function listenerFor(options: ConnectRouterOptions, routes: (router: ConnectRouter) => void): Listener {
  const router = createConnectRouter({ ...options, connect: false, grpcWeb: false });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const handler = handlers.get(request.url);
    if (handler === undefined) {
      response.writeHead(constants.HTTP_STATUS_NOT_FOUND);
      response.end();
      return;
    }
    endWithStream(response);
    // Whatever a client makes of the path of a socket, it need not be a host.
    request.headers[":authority"] = "localhost";
    const asked = universalRequestFromNodeRequest(request, response, undefined, undefined);
    handler({ ...asked, body: bodyOf(request) })
      .then((answer) => universalResponseToNodeResponse(answer, response))
      // The client went away, or its connection broke: nobody is there to be told.
      .catch(() => response.stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  };
}

/**
 * Ends a write that waits when the stream is destroyed. As of version 26 Node calls such a write done, and says no more of it, while
 * Connect waits for room.
 */
function endWithStream(response: Http2ServerResponse): void {
  response.stream.once("close", () => {
    // Without a listener this would be thrown. There is one only while somebody writes.
    if (response.listenerCount("error") > 0) response.emit("error", new Error("the stream was closed"));
  });
}

/** An answer may come before the end of the request, and gets lost if that is destroyed: what is left of it is thrown away. */
async function* bodyOf(request: Http2ServerRequest): AsyncGenerator<Uint8Array> {
  try {
    yield* request.iterator({ destroyOnReturn: false });
  } finally {
    request.resume();
  }
}
