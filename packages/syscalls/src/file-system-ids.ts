import { CodedError } from "@varve/errors";
import { EPERM } from "./constants.ts";
import { BULK, FIELDS, kernel } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import { check, SyscallError } from "./syscall-error.ts";

/** _LINUX_CAPABILITY_VERSION_3: two structures of three words. */
const CAPABILITY_VERSION = 0x2008_0522;
const CAPABILITY_BYTES = 24;
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
/** No id: changes nothing, and so only asks for the present one. */
const NO_ID = 0xffff_ffff;

/**
 * Runs `body` while this thread acts on files as another user and group, with all its capabilities kept. `body` must not
 * wait: the ids belong to the thread, and other work of it would have them too.
 *
 * @throws ERR_INVALID_ARGUMENT an id is none of 32 bits
 */
export function withFileSystemIds<T>(ids: { readonly uid: number; readonly gid: number }, body: () => T): T {
  const k = kernel();
  for (const id of [ids.uid, ids.gid]) {
    if (!Number.isInteger(id) || id < 0 || id >= NO_ID) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `user or group ${id}: out of range`);
    }
  }
  const capabilities = readCapabilities(k);
  const dumpable = k.call(k.numbers.prctl, PR_GET_DUMPABLE);
  const gid = change(k, k.numbers.setfsgid, "setfsgid", ids.gid);
  try {
    const uid = change(k, k.numbers.setfsuid, "setfsuid", ids.uid);
    try {
      // Leaving user 0 has taken the capabilities on files away; they are still permitted.
      writeCapabilities(k, capabilities);
      return body();
    } finally {
      change(k, k.numbers.setfsuid, "setfsuid", uid);
      writeCapabilities(k, capabilities);
    }
  } finally {
    change(k, k.numbers.setfsgid, "setfsgid", gid);
    // A change of user closes the process to debuggers and its own user's tools; 2 cannot be set and stays anyway.
    if (dumpable === 1) k.call(k.numbers.prctl, PR_SET_DUMPABLE, dumpable);
  }
}

/** Returns the id before. These calls have no failure of their own, so the result is looked at. */
function change(k: Kernel, number: number, name: string, id: number): number {
  const before = k.call(number, id);
  if (k.call(number, NO_ID) !== id) throw new SyscallError(name, EPERM);
  return before;
}

function readCapabilities(k: Kernel): Buffer {
  writeHeader(k);
  check(k.call(k.numbers.capget, k.at(FIELDS), k.at(BULK)), "capget");
  return Buffer.from(k.bytes.subarray(BULK, BULK + CAPABILITY_BYTES));
}

function writeCapabilities(k: Kernel, capabilities: Buffer): void {
  writeHeader(k);
  k.bytes.set(capabilities, BULK);
  check(k.call(k.numbers.capset, k.at(FIELDS), k.at(BULK)), "capset");
}

function writeHeader(k: Kernel): void {
  k.view.setUint32(FIELDS, CAPABILITY_VERSION, true);
  // This thread.
  k.view.setUint32(FIELDS + 4, 0, true);
}
