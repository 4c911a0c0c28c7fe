// Has a containerd use this snapshotter as its proxy plugin, until SIGTERM: node serve.ts ROOT SOCKET
import { once } from "node:events";
import { serveContainerd } from "@varve/containerd";
import { openBtrfsSnapshotter } from "./btrfs-snapshotter.ts";

const [, , root = "", address = ""] = process.argv;
const snapshotter = await openBtrfsSnapshotter({ root });
const server = await serveContainerd({ address, snapshotters: { "btrfs-example": snapshotter } });
process.stdout.write(`serving btrfs-example on ${address}\n`);
await once(process, "SIGTERM");
await server.close();
await snapshotter.close();
