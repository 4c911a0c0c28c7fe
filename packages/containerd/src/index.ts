export { connectContainerd } from "./connect/connect-containerd.ts";
export type { ConnectContainerdOptions, Containerd } from "./connect/connect-containerd.ts";
export { serveContainerd } from "./serve/serve-containerd.ts";
export type { CallFailure, ContainerdServer, ServeContainerdOptions } from "./serve/serve-containerd.ts";
