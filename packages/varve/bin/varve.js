#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

// A third of the start is saved by keeping compiled code. Not in the common directory for temporary files, where Node
// keeps it by default: whoever can write there could leave code for root to run.
const { env } = process;
const caches = isAbsolute(env.XDG_CACHE_HOME ?? "") ? env.XDG_CACHE_HOME : join(homedir(), ".cache");
if (isAbsolute(caches)) {
  // Worker threads find it here.
  env.NODE_COMPILE_CACHE ||= join(caches, "varve", "node");
  enableCompileCache(env.NODE_COMPILE_CACHE);
}
await import("../dist/main.js");
