import { CodedError } from "@varve/errors";
import type { IdMapping } from "@varve/mount";
import { Refusal } from "../entry-error.ts";

/** Runs of user and group ids: `container` as the layer has them, `host` as they are set. */
export interface IdMappings {
  readonly uid: readonly IdMapping[];
  readonly gid: readonly IdMapping[];
}

const aclVersion = 2;
const aclUser = 0x02;
const aclGroup = 0x08;
/** Of `struct vfs_ns_cap_data`: without and with the id of the namespace's root. */
const capability2 = 0x0200_0000;
const capability3 = 0x0300_0000;
const capabilityMask = 0xff00_0000;

/** Turns the ids of a layer into those that a user namespace has for them. */
export class IdMapper {
  readonly #mappings: IdMappings | undefined;

  constructor(mappings: IdMappings | undefined) {
    this.#mappings = mappings;
  }

  /** @throws a refusal if nothing is mapped to the id */
  uid(id: number): number {
    return this.#mappings === undefined ? id : mapped("user", id, this.#mappings.uid);
  }

  /** @throws a refusal if nothing is mapped to the id */
  gid(id: number): number {
    return this.#mappings === undefined ? id : mapped("group", id, this.#mappings.gid);
  }

  /** The value of an attribute with the ids in it mapped; what the kernel would not understand stays as it is. */
  attribute(name: string, value: Buffer): Buffer {
    if (this.#mappings === undefined) return value;
    if (name === "security.capability") return this.#capability(value);
    return name.startsWith("system.posix_acl_") ? this.#list(value) : value;
  }

  // acl(5): a version, then tag, permissions and id of each entry (linux/posix_acl_xattr.h).
  #list(value: Buffer): Buffer {
    if (value.length < 4 || value.readUInt32LE(0) !== aclVersion || value.length % 8 !== 4) return value;
    const copy = Buffer.from(value);
    for (let at = 4; at < copy.length; at += 8) {
      const tag = copy.readUInt16LE(at);
      const id = copy.readUInt32LE(at + 4);
      if (tag === aclUser) copy.writeUInt32LE(this.uid(id), at + 4);
      if (tag === aclGroup) copy.writeUInt32LE(this.gid(id), at + 4);
    }
    return copy;
  }

  // Capabilities of a file hold in namespaces of one root only (capabilities(7), "Namespaced file capabilities").
  #capability(value: Buffer): Buffer {
    const magic = value.length >= 4 ? value.readUInt32LE(0) : 0;
    const revision = (magic & capabilityMask) >>> 0;
    if (revision === capability3 && value.length === 24) {
      const copy = Buffer.from(value);
      copy.writeUInt32LE(this.uid(copy.readUInt32LE(20)), 20);
      return copy;
    }
    const root = this.uid(0);
    if (revision !== capability2 || value.length !== 20 || root === 0) return value;
    const copy = Buffer.concat([value, Buffer.alloc(4)]);
    copy.writeUInt32LE((magic & ~capabilityMask) | capability3, 0);
    copy.writeUInt32LE(root, 20);
    return copy;
  }
}

function mapped(kind: string, id: number, mappings: readonly IdMapping[]): number {
  const run = mappings.find(({ container, size }) => id >= container && id - container < size);
  if (run !== undefined) return run.host + (id - run.container);
  throw new Refusal("id-mapping", `${kind} ${id} is not mapped`, "ERR_FAILED_PRECONDITION");
}

/** @throws ERR_INVALID_ARGUMENT a run is none, or ids are mapped but not kept */
export function checkMappings(mappings: IdMappings | undefined, ownership: string): void {
  if (mappings === undefined) return;
  if (ownership !== "keep") {
    throw new CodedError("ERR_INVALID_ARGUMENT", `option idMappings: cannot go with ownership "${ownership}"`);
  }
  for (const { container, host, size } of [...mappings.uid, ...mappings.gid]) {
    const valid = [container, host, size].every((value) => Number.isSafeInteger(value) && value >= 0);
    if (valid && size > 0 && Math.max(container, host) + size <= 0xffff_ffff) continue;
    throw new CodedError("ERR_INVALID_ARGUMENT", `option idMappings: not a run of ids: ${container}:${host}:${size}`);
  }
}
