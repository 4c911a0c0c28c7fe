import { CodedError } from "@varve/errors";
import type { OnProgress } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import type { PushOptions } from "./resolver.ts";

const byteStep = 256 * 1024;
const timeStep = 100;

/**
 * Wraps the body of an upload: tells of the bytes that are taken from it as `pushing` events, the first, the last, and in
 * between one each 256 KiB or 100 ms, whichever comes later; and that an upload goes on, or goes back.
 */
export function sentBytes(
  descriptor: Descriptor,
  body: PushOptions["body"],
  onProgress: OnProgress,
): PushOptions["body"] {
  let told = -1;
  let toldAt = 0;
  let position = 0;
  let attempt = 0;
  const tell = (bytes: number): void => {
    const now = performance.now();
    const due = told < 0 || bytes === descriptor.size || (bytes - told >= byteStep && now - toldAt >= timeStep);
    if (!due || bytes <= told) return;
    told = bytes;
    toldAt = now;
    onProgress({ type: "pushing", descriptor, bytes });
  };
  return async function* counted(offset) {
    if (offset < position) {
      attempt += 1;
      const text = `content ${descriptor.digest}: the upload broke off, the other side has ${offset} bytes`;
      onProgress({ type: "retry", descriptor, attempt, error: new CodedError("ERR_NETWORK", text) });
      if (offset > 0) onProgress({ type: "resumed", descriptor, bytes: offset });
      told = -1;
    }
    position = offset;
    tell(position);
    for await (const chunk of body(offset)) {
      position = offset += chunk.byteLength;
      tell(position);
      yield chunk;
    }
  };
}
