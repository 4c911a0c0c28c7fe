import { CodedError, describeError, hasCode, isTransient } from "@varve/errors";
import { describe, expect, test } from "vitest";

describe("CodedError", () => {
  test("keeps its code, message, name and cause", () => {
    const cause = new Error("disk gone");
    const error = new CodedError("ERR_DATA_LOSS", "blob a: not readable", { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: "ERR_DATA_LOSS", message: "blob a: not readable", name: "CodedError", cause });
    expect(String(error)).toBe("CodedError: blob a: not readable");
  });

  test("has no cause when none is given", () => {
    expect("cause" in new CodedError("ERR_NOT_FOUND", "blob a: not found")).toBe(false);
  });
});

describe("hasCode", () => {
  test("tells codes apart", () => {
    const error = new CodedError("ERR_NOT_FOUND", "blob a: not found");
    expect(hasCode(error, "ERR_NOT_FOUND")).toBe(true);
    expect(hasCode(error, "ERR_ALREADY_EXISTS")).toBe(false);
  });

  test("knows the error of another copy of the package by its code alone", () => {
    expect(hasCode(Object.assign(new Error("x"), { code: "ERR_NOT_FOUND" }), "ERR_NOT_FOUND")).toBe(true);
  });

  test.each([undefined, null, "ERR_NOT_FOUND", { code: "ERR_NOT_FOUND" }, new Error("ERR_NOT_FOUND")])(
    "takes nothing else for one: %o",
    (thrown) => {
      expect(hasCode(thrown, "ERR_NOT_FOUND")).toBe(false);
    },
  );
});

describe("isTransient", () => {
  test.each(["ERR_UNAVAILABLE", "ERR_DEADLINE_EXCEEDED", "ERR_NETWORK", "ERR_RATE_LIMITED"] as const)(
    "%s may pass",
    (code) => {
      expect(isTransient(new CodedError(code, "x"))).toBe(true);
    },
  );

  test.each(["ERR_NOT_FOUND", "ERR_DIGEST_MISMATCH", "ERR_INVALID_DATA", "ERR_INTERNAL"] as const)(
    "%s stays",
    (code) => {
      expect(isTransient(new CodedError(code, "x"))).toBe(false);
    },
  );

  test("an error of the operating system and what is no error stay", () => {
    expect(isTransient(Object.assign(new Error("no space"), { code: "ENOSPC" }))).toBe(false);
    expect(isTransient("ERR_NETWORK")).toBe(false);
  });
});

describe("describeError", () => {
  test("adds each cause that says something new", () => {
    const refused = new Error("connect ECONNREFUSED");
    const request = new Error("request failed", { cause: refused });
    expect(describeError(new CodedError("ERR_NETWORK", "registry a", { cause: request }))).toBe(
      "registry a: request failed: connect ECONNREFUSED",
    );
  });

  test("leaves out a cause that the message already quotes", () => {
    const cause = new Error("no colon");
    expect(describeError(new Error("digest x: no colon", { cause }))).toBe("digest x: no colon");
  });

  test("gives one line", () => {
    expect(describeError(new Error("first\n   second"))).toBe("first second");
  });

  test("ends when an error is its own cause", () => {
    const error = new Error("round");
    error.cause = error;
    expect(describeError(error)).toBe("round");
  });

  test.each([
    ["text", "text"],
    [{ a: 1 }, '{"a":1}'],
    [7, "7"],
    [new TypeError(), "TypeError"],
    [() => 1, "function"],
  ])("says something about anything thrown: %o", (thrown, text) => {
    expect(describeError(thrown)).toBe(text);
  });
});
