import type { OnProgress } from "@varve/images";
import type { Descriptor } from "@varve/oci";

const byteStep = 256 * 1024;
const timeStep = 100;

/**
 * Makes `fetching` events of byte counts: the first, the last, and in between one each 256 KiB or 100 ms,
 * whichever comes later.
 */
export function byteProgress(
  descriptor: Descriptor,
  onProgress: OnProgress | undefined,
): ((bytes: number) => void) | undefined {
  if (onProgress === undefined) return undefined;
  let told = -1;
  let toldAt = 0;
  return (bytes) => {
    const now = performance.now();
    const due = told < 0 || bytes === descriptor.size || (bytes - told >= byteStep && now - toldAt >= timeStep);
    if (!due || bytes === told) return;
    told = bytes;
    toldAt = now;
    onProgress({ type: "fetching", descriptor, bytes });
  };
}
