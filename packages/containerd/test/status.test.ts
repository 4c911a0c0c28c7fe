import { Code, ConnectError } from "@connectrpc/connect";
import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import { expect, test } from "vitest";
import { fromStatus, toStatus } from "../src/wire/status.ts";

// behaviours.md 6.5
const both: readonly (readonly [ErrorCode, number])[] = [
  ["ERR_INVALID_ARGUMENT", 3],
  ["ERR_DEADLINE_EXCEEDED", 4],
  ["ERR_NOT_FOUND", 5],
  ["ERR_ALREADY_EXISTS", 6],
  ["ERR_PERMISSION_DENIED", 7],
  ["ERR_RESOURCE_EXHAUSTED", 8],
  ["ERR_FAILED_PRECONDITION", 9],
  ["ERR_ABORTED", 10],
  ["ERR_OUT_OF_RANGE", 11],
  ["ERR_NOT_IMPLEMENTED", 12],
  ["ERR_INTERNAL", 13],
  ["ERR_UNAVAILABLE", 14],
  ["ERR_DATA_LOSS", 15],
  ["ERR_UNAUTHENTICATED", 16],
];

test.each(both)("%s is %i on the way, and is what it was at the other end (6.5)", (code, number) => {
  const status = toStatus(new CodedError(code, "snapshot a: not found"));
  expect(status.code).toBe(number);
  expect(status.rawMessage).toBe("snapshot a: not found");
  expect(fromStatus(status, "containerd")).toMatchObject({ code, message: "containerd: snapshot a: not found" });
});

test.each([
  ["ERR_DIGEST_MISMATCH", Code.FailedPrecondition],
  ["ERR_INVALID_DATA", Code.InvalidArgument],
  ["ERR_NETWORK", Code.Unavailable],
  ["ERR_RATE_LIMITED", Code.Unavailable],
] as const)("%s, which containerd has no class for, goes with the nearest", (code, status) => {
  expect(toStatus(new CodedError(code, "x")).code).toBe(status);
});

test("an error of the system has no class, but keeps its code by its text", () => {
  const full = Object.assign(new Error("content: ENOSPC: no space left on device"), { code: "ENOSPC" });
  const status = toStatus(full);
  expect(status.code).toBe(Code.Unknown);
  expect(fromStatus(new ConnectError("write x: no space left on device", Code.Unknown), "containerd")).toMatchObject({
    code: "ENOSPC",
    message: "containerd: write x: no space left on device",
  });
});

test("an aborted call is canceled for the other side, and ends with its reason on this one", () => {
  const signal = AbortSignal.abort(new Error("enough"));
  expect(toStatus(signal.reason, signal).code).toBe(Code.Canceled);
  expect(fromStatus(new ConnectError("x", Code.Canceled), "containerd", signal)).toBe(signal.reason);
  expect(fromStatus(new ConnectError("x", Code.Canceled), "containerd")).toMatchObject({ code: "ERR_ABORTED" });
});

test("what a stream fails with when its client has gone is canceled, and a defect while there is one", () => {
  const failure = Object.assign(new Error("The stream has been destroyed"), { code: "ERR_HTTP2_INVALID_STREAM" });
  expect(toStatus(failure, AbortSignal.abort()).code).toBe(Code.Canceled);
  expect(toStatus(failure, new AbortController().signal).code).toBe(Code.Unknown);
  const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  expect(toStatus(full, AbortSignal.abort()).code).toBe(Code.Unknown);
});

test("what is nobody's error class goes as unknown, and comes as internal", () => {
  expect(toStatus(new Error("odd")).code).toBe(Code.Unknown);
  expect(fromStatus(new ConnectError("odd", Code.Unknown), "containerd")).toMatchObject({ code: "ERR_INTERNAL" });
  const foreign = new TypeError("not of gRPC");
  expect(fromStatus(foreign, "containerd")).toBe(foreign);
});
