// The parser is not exported: servers that send odd headers are too many to play each of them.
import { describe, expect, test } from "vitest";
import { parseChallenges } from "../src/auth/challenge.ts";

function plain(header: string | readonly string[] | undefined): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

// A3, C-RES.13
describe("challenges", () => {
  test.each([
    [undefined, []],
    ["", []],
    ["Basic", [["basic", {}]]],
    [
      'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"',
      [["bearer", { realm: "https://auth.test/token", service: "registry.test", scope: "repository:a/b:pull,push" }]],
    ],
    [
      'Negotiate, Basic realm="a, b=\\"c\\"", Bearer realm=x',
      [
        ["negotiate", {}],
        ["basic", { realm: 'a, b="c"' }],
        ["bearer", { realm: "x" }],
      ],
    ],
    [
      'Negotiate YII+/==, Bearer realm = "x" , service=y',
      [
        ["negotiate", {}],
        ["bearer", { realm: "x", service: "y" }],
      ],
    ],
    ['BEARER REALM="x", realm="y"', [["bearer", { realm: "x" }]]],
    [",, ,Basic realm=x,,", [["basic", { realm: "x" }]]],
    ['Bearer realm="unclosed, service=x', [["bearer", { service: "x" }]]],
    ['realm="nobody", Basic', [["basic", {}]]],
    ['Bearer realm=, service="s"', [["bearer", { service: "s" }]]],
    [
      'Bearer @@@, Basic realm="x"',
      [
        ["bearer", {}],
        ["basic", { realm: "x" }],
      ],
    ],
    ['Bearer error="invalid_token"', [["bearer", { error: "invalid_token" }]]],
  ])("%j are read", (header, expected) => {
    expect(plain(header)).toEqual(expected);
  });

  test("several header lines are joined", () => {
    expect(plain(["Basic realm=a", "Bearer realm=b"])).toEqual([
      ["basic", { realm: "a" }],
      ["bearer", { realm: "b" }],
    ]);
  });

  test("long nonsense is read in no time", () => {
    for (const part of ["a ", "a=", '"', 'a="', ",", "a,b=", "\\", " ="]) {
      expect(parseChallenges(part.repeat(20_000)).length).toBeLessThanOrEqual(20_000);
    }
  });
});
