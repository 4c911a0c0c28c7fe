import { createRequire } from "node:module";
import type * as undici from "undici";

const require = createRequire(import.meta.url);

// Not undici's entry: that loads its fetch, caches and mocks as well, four times the code, which takes 60 ms of a pull's start. The
// version is pinned, so that the files are where they are.
export const Client: typeof undici.Client = require("undici/lib/dispatcher/client.js");
export const Pool: typeof undici.Pool = require("undici/lib/dispatcher/pool.js");
export const Agent: typeof undici.Agent = require("undici/lib/dispatcher/agent.js");

// The entry gives all calls of the API to all dispatchers; here one is needed.
Agent.prototype.request = require("undici/lib/api/api-request.js");
