import { CodedError } from "@varve/errors";
import type { Upkeep } from "../upkeep.ts";

/** Of a containerd, which looks after its store itself. */
export function noUpkeep(address: string): Upkeep {
  const refuse = (why: string): never => {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `containerd ${address}: ${why}`);
  };
  const needs = (what: string) => async (): Promise<never> => refuse(`${what} needs a store of varve's own`);
  const namespaces = "its namespaces are looked after by ctr";
  return {
    namespaces: {
      create: async () => refuse(namespaces),
      delete: async () => refuse(namespaces),
      get: async () => refuse(namespaces),
      label: async () => refuse(namespaces),
      list: () => refuse(namespaces),
    },
    collect: async () => refuse("it collects by itself what nothing keeps"),
    check: needs("check"),
    repair: needs("repair"),
    usage: needs("the usage of the disk"),
    why: needs("what keeps a thing"),
  };
}
