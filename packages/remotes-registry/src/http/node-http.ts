/** `node:http`. An `import` would read all it exports, and with that load Node's own fetch, which takes 20 ms of a pull's start. */
export const http: typeof import("node:http") = process.getBuiltinModule("node:http");

/** A status as text, such as `404 Not Found`. */
export function describeStatus(status: number): string {
  return `${status} ${http.STATUS_CODES[status] ?? ""}`.trimEnd();
}
