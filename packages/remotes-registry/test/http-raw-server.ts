import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { portOf } from "./fake-registry.ts";

export interface RawServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly sockets: Set<Socket>;
  readonly server: Server;
  /** The first bytes of each request, in order. */
  readonly seen: string[];
}

/** A server below HTTP: calls back with each chunk that comes, and answers nothing by itself. */
export async function rawServer(answer: (socket: Socket, request: string) => void): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const seen: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      const request = chunk.toString("latin1");
      seen.push(request);
      answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = portOf(server);
  return {
    host: `127.0.0.1:${port}`,
    port,
    server,
    sockets,
    seen,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

const listenAndSleep = `
  const { workerData, parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ host: workerData.host, port: workerData.port, backlog: 1 }, () => {
    parentPort.postMessage("listening");
    Atomics.wait(new Int32Array(workerData.gate), 0, 0);
  });
`;

/** Whether sockets can be counted in `/proc`, and an address of its own be listened to. */
export const hasBlackHoles: boolean = process.platform === "linux";

export interface BlackHole extends AsyncDisposable {
  /** How many sockets wait for it at this moment; some do all the time. */
  hanging(): number;
}

function connectingTo(port: number): number {
  const remote = `0101007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n");
  return lines.map((line) => line.trim().split(/\s+/)).filter(([, , to, state]) => to === remote && state === "02")
    .length;
}

/** Makes `127.0.1.1:port` swallow what connects there: its queue is full, and nobody accepts. */
export async function blackHole(port: number): Promise<BlackHole> {
  const gate = new SharedArrayBuffer(4);
  const worker = new Worker(listenAndSleep, { eval: true, workerData: { host: "127.0.1.1", port, gate } });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  const fillers: Socket[] = [];
  while (connectingTo(port) === 0) {
    fillers.push(connect({ host: "127.0.1.1", port }).on("error", () => undefined));
    await sleep(10);
  }
  return {
    hanging: () => connectingTo(port),
    async [Symbol.asyncDispose]() {
      for (const filler of fillers) filler.destroy();
      Atomics.store(new Int32Array(gate), 0, 1);
      Atomics.notify(new Int32Array(gate), 0);
      await worker.terminate();
    },
  };
}
