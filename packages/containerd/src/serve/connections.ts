import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";

/** Those of a server. */
export class Connections {
  readonly #sessions: Set<ServerHttp2Session> = new Set();
  readonly #sockets: Set<Socket> = new Set();

  /** @param window how many bytes may come at a time on one of them */
  constructor(server: Http2Server, window: number) {
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      session.setLocalWindowSize(window);
    });
  }

  /** Each ends with the last of its calls, and takes no more. */
  finish(): void {
    for (const session of this.#sessions) session.close();
  }

  /** Ends all of them. To a client it is a connection that broke, not calls that somebody canceled. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
