import type { ServerResponse } from "node:http";
import type { EndpointsCallback, RegistryEndpoint } from "@varve/remotes-registry";
import { fakeRegistry, send, sendAndBreak, sendBlob } from "./fake-registry.ts";
import type { FakeRegistry } from "./fake-registry.ts";
import { blob, sendManifest } from "./fixtures.ts";

/** Answers whatever is asked for, as a registry that has the image. */
export function hasAll(): Promise<FakeRegistry> {
  return fakeRegistry((seen, response) => {
    if (seen.path.includes("/blobs/")) sendBlob(seen, response, blob);
    else sendManifest(seen, response);
  });
}

export function always(status: number, headers: Record<string, string> = {}): Promise<FakeRegistry> {
  return fakeRegistry((_seen, response) => send(response, status, headers));
}

export function mirrored(...endpoints: readonly (RegistryEndpoint | FakeRegistry)[]): EndpointsCallback {
  return async () => endpoints.map((one) => ("seen" in one ? { url: one.url } : one));
}

export function breakOff(response: ServerResponse, after: number): void {
  sendAndBreak(response, 200, { "content-length": String(blob.byteLength) }, blob.subarray(0, after));
}

export function breaking(after: number): Promise<FakeRegistry> {
  return fakeRegistry((_seen, response) => breakOff(response, after));
}

/** A port that the system gives to nobody. */
export const nobody = "http://127.0.0.1:1";
