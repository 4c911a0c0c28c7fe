import { createServer, request as forward } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { KeyPair } from "./http-certificates.ts";
import { portOf } from "./fake-registry.ts";

export interface FakeProxy extends AsyncDisposable {
  readonly host: string;
  /** `METHOD target`, and who asked. */
  readonly log: string[];
  readonly authorizations: (string | undefined)[];
  readonly sockets: Set<Socket>;
}

export interface ProxyScript {
  /** Answers CONNECT with this instead of connecting. */
  readonly refuse?: string | undefined;
  readonly tls?: KeyPair | undefined;
  readonly login?: string | undefined;
}

/** A proxy on loopback, for CONNECT and for http. Every name leads to this machine. */
export async function fakeProxy({ refuse, tls, login }: ProxyScript = {}): Promise<FakeProxy> {
  const log: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const listener = (asked: IncomingMessage, response: ServerResponse): void => {
    note(asked);
    if (isStranger(asked)) {
      response.writeHead(407, { "proxy-authenticate": "Basic" }).end("who are you?");
      return;
    }
    const { port, pathname, search } = new URL(asked.url ?? "");
    const headers = { ...asked.headers };
    delete headers["proxy-authorization"];
    const onward = forward({ host: "127.0.0.1", port, path: pathname + search, method: asked.method, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    asked.pipe(onward);
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  const note = (asked: IncomingMessage): void => {
    log.push(`${asked.method} ${asked.url}`);
    authorizations.push(asked.headers["proxy-authorization"]);
  };
  const isStranger = (asked: IncomingMessage): boolean =>
    login !== undefined && asked.headers["proxy-authorization"] !== `Basic ${Buffer.from(login).toString("base64")}`;
  server.on("connect", (asked: IncomingMessage, client: Duplex, head: Buffer) => {
    note(asked);
    client.on("error", () => undefined);
    const answer = isStranger(asked) ? "HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n" : refuse;
    if (answer !== undefined) {
      if (answer !== "") client.write(answer);
      client.resume().on("end", () => client.end());
      return;
    }
    const port = Number(/:(\d+)$/.exec(asked.url ?? "")?.[1]);
    const onward = connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connected\r\n\r\n");
      onward.write(head);
      onward.pipe(client).pipe(onward);
    });
    onward.on("error", () => client.destroy());
    client.on("close", () => onward.destroy());
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${portOf(server)}`,
    log,
    authorizations,
    sockets,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
