import type { Containerd } from "@varve/containerd";

/** A part of a containerd whose connection is closed together with it. */
export function closedWith<T extends { close(): Promise<void> }>(part: T, containerd: Containerd): T {
  const close = part.close.bind(part);
  return Object.assign(part, {
    close: async (): Promise<void> => {
      await close();
      await containerd.close();
    },
  });
}
