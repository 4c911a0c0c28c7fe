import type { ErrorCode } from "@varve/errors";

/** What the command's exit status tells. The README has this table. */
export const exitCodes = {
  ok: 0,
  other: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  integrity: 5,
  network: 6,
  rateLimited: 7,
  unsupported: 8,
  busy: 9,
  interrupted: 130,
} as const;

const byCode: ReadonlyMap<unknown, number> = new Map<ErrorCode, number>([
  // What comes from outside is invalid data; arguments are what somebody typed.
  ["ERR_INVALID_ARGUMENT", exitCodes.usage],
  ["ERR_NOT_FOUND", exitCodes.notFound],
  ["ERR_UNAUTHENTICATED", exitCodes.denied],
  ["ERR_PERMISSION_DENIED", exitCodes.denied],
  ["ERR_DIGEST_MISMATCH", exitCodes.integrity],
  ["ERR_INVALID_DATA", exitCodes.integrity],
  ["ERR_DATA_LOSS", exitCodes.integrity],
  ["ERR_NETWORK", exitCodes.network],
  ["ERR_DEADLINE_EXCEEDED", exitCodes.network],
  ["ERR_RATE_LIMITED", exitCodes.rateLimited],
  ["ERR_NOT_IMPLEMENTED", exitCodes.unsupported],
  ["ERR_UNAVAILABLE", exitCodes.busy],
]);

/** The exit status for what a command failed with. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof Error)) return exitCodes.other;
  if (error.name === "AbortError") return exitCodes.interrupted;
  if (error.name === "UsageError") return exitCodes.usage;
  return ("code" in error ? byCode.get(error.code) : undefined) ?? exitCodes.other;
}

/** The command line itself is wrong. */
export class UsageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UsageError";
  }
}
