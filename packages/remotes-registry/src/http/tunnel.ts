import type { Socket } from "node:net";
import { http } from "./node-http.ts";
import type { Proxy } from "./proxies.ts";

/** A proxy did not do what it was asked for. */
export class ProxyRefusal extends Error {
  readonly code = "PROXY_REFUSAL";
  readonly status: number;

  /** @param status what it answered */
  constructor(status: number) {
    super(`the proxy answered ${status}`);
    this.name = "ProxyRefusal";
    this.status = status;
  }
}

/**
 * Has a proxy connect a socket to another host (RFC 9110, section 9.3.6). What comes over the socket then is that host's.
 *
 * @param authority host and port, an IPv6 address in brackets
 */
export function openTunnel(socket: Socket, proxy: Proxy, authority: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const connecting = http.request({
      method: "CONNECT",
      path: authority,
      headers: {
        host: authority,
        ...(proxy.authorization !== undefined && { "proxy-authorization": proxy.authorization }),
      },
      createConnection: () => socket,
    });
    const abort = (): void => {
      // And the socket with it.
      connecting.destroy();
      reject(signal.reason);
    };
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    const end = (): void => signal.removeEventListener("abort", abort);
    connecting.once("connect", (response, tunnel, head) => {
      end();
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) {
        tunnel.destroy();
        reject(new ProxyRefusal(status));
        return;
      }
      if (head.byteLength > 0) tunnel.unshift(head);
      resolve(socket);
    });
    connecting.on("error", (error) => {
      end();
      socket.destroy();
      reject(error);
    });
    connecting.end();
  });
}
