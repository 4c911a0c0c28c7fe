import { compileFilters } from "@varve/filters";
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";

function matches(pattern: string, text: string): boolean {
  const quoted = `"${pattern.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
  return compileFilters([`field~=${quoted}`], () => text)({});
}

describe("a regular expression means what it means to RE2:", () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ["", ["", "x"], []],
    ["b", ["abc"], ["ac"]],
    ["^b$", ["b"], ["ab", "b\n", "\nb"]],
    ["a|b|", ["", "x"], []],
    ["^(a|bc)+$", ["abca"], ["ab"]],
    ["^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"]],
    ["^a{2}$", ["aa"], ["a", "aaa"]],
    ["^a{2,}$", ["aa", "aaaaa"], ["a"]],
    ["^a{,2}$", ["a{,2}"], ["aa"]],
    ["^a{0}b$", ["b"], ["ab"]],
    ["^(a*)*b$", ["b", "aab"], ["a"]],
    ["^a*?b+?c??$", ["b", "aabbc"], ["ac"]],
    ["^a.c$", ["abc", "a\rc", "a\u2028c", "a🐉c"], ["a\nc", "ac"]],
    ["(?s)^a.c$", ["a\nc"], []],
    ["(?m)^b$", ["a\nb\nc"], ["ab"]],
    ["(?i)straSSe", ["STRASSE"], ["strase"]],
    ["(?i)^[a-c]é$", ["BÉ"], ["dé"]],
    ["a(?i)b(?-i)c", ["aBc"], ["aBC", "Abc"]],
    ["a(?i:b)c", ["aBc"], ["aBC"]],
    ["(?i:a(?-i)b)C", ["AbC"], ["ABC", "Abc"]],
    ["(?P<year>[0-9]+)-(?<month>[0-9]+)", ["2024-05"], ["2024"]],
    ["\\Aa\\z", ["a"], ["ab", "ba"]],
    ["\\bfoo\\b", ["a foo b", "foo"], ["foos", "éfoos"]],
    ["o\\Bo", ["foo"], ["o o"]],
    ["^\\d\\D\\s\\S\\w\\W$", ["1a b_-"], ["1a\u00a0b_-", "١a b_-"]],
    ["^[\\d\\-.]+$", ["1-2.3"], ["1_2"]],
    ["^[^\\W_]+$", ["az09"], ["a_"]],
    ["^[[:alpha:]_]+$", ["aZ_"], ["a1", "é"]],
    ["^[[:^digit:]]$", ["a"], ["1"]],
    ["^[]a-]+$", ["]a-"], ["b"]],
    ["^[^]a]$", ["b", "\n"], ["]", "a"]],
    ["^\\p{Greek}\\pL\\P{Lu}\\p{^Lu}$", ["αxyz"], ["axyz", "αxYz"]],
    ["^\\.\\-\\/\\:\\_\\@\\\\$", [".-/:_@\\"], [".-/:_@"]],
    ["^\\Qa.b*\\E+$", ["a.b*"], ["axb"]],
    ["^\\x41\\x{1F409}\\101\\012\\t$", ["A🐉A\n\t"], []],
    ["^a{b}]$", ["a{b}]"], []],
    ["^🐉{2}$", ["🐉🐉"], ["🐉"]],
    ["docker\\.io\\/library", ["docker.io/library/alpine"], ["docker-io/library"]],
  ])("%s", (pattern, yes, no) => {
    for (const text of yes) expect(matches(pattern, text), text).toBe(true);
    for (const text of no) expect(matches(pattern, text), text).toBe(false);
  });
});

describe("what RE2 refuses is refused:", () => {
  it.each([
    ["(a", "a ( is not closed"],
    ["a)", "unexpected )"],
    ["[a", "a [ is not closed"],
    ["[b-a]", "the wrong way round"],
    ["[a-\\d]", "\\d is no escape"],
    ["[[:nope:]]", "[:nope:] is no set of characters"],
    ["*a", "nothing to repeat"],
    ["a|{2}", "nothing to repeat"],
    ["a**", "a repetition of a repetition"],
    ["a{2}{3}", "a repetition of a repetition"],
    ["a{1001}", "repetition {1001} is too large"],
    ["a{3,2}", "repetition {3,2} is too large"],
    ["(a)\\1", "\\1 is no escape"],
    ["(?=a)", "look-around is not supported"],
    ["(?<!a)", "look-around is not supported"],
    ["(?i-)", "look-around is not supported"],
    ["\\Z", "\\Z is no escape"],
    ["\\k", "\\k is no escape"],
    ["\\p{Nope}", "\\p{Nope} is no set of characters"],
    ["\\x{110000}", "\\x{110000} is no character"],
    ["a\\", "a backslash at the end"],
    ["((a{100}){100}){100}", "its repetitions need more than 5000 steps"],
    ["a".repeat(1001), "1001 characters are over the limit of 1000"],
  ])("%s", (pattern, message) => {
    expect(() => matches(pattern, "")).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
    expect(() => matches(pattern, "")).toThrow(message);
  });
});

test("brackets may be nested as deep as a pattern is long", () => {
  expect(matches(`${"(".repeat(499)}a${")".repeat(499)}`, "a")).toBe(true);
  expect(() => matches("(".repeat(1000), "")).toThrow("a ( is not closed");
});

test("no pattern takes more than linear time", () => {
  const text = `${"a".repeat(4000)}!`;
  for (const pattern of [
    "^(a+)+$",
    "^(a|a)*$",
    "^(a|aa)+$",
    "(a*)*b",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(.*)(.*)(.*)(.*)x",
  ]) {
    expect(matches(pattern, text)).toBe(false);
  }
});

const alphabet = ["a", "b", "é", "🐉", "\n"] as const;
const { pattern } = fc.letrec<{ pattern: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(...alphabet, ".", "^", "$", "[ab]", "[^a]", "[^é-🐉]", "\\d", "\\w"),
    fc
      .tuple(tie("pattern"), fc.constantFrom("", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "{1,}", "*?"))
      .map(([inner, repetition]) => `(?:${inner})${repetition}`),
    tie("pattern").map((inner) => `(${inner})`),
  ),
  pattern: fc.oneof(
    fc.array(tie("atom"), { maxLength: 4 }).map((atoms) => atoms.join("")),
    fc.tuple(tie("atom"), tie("atom")).map((alternatives) => alternatives.join("|")),
  ),
}));

test("where RE2 and JavaScript agree on the syntax they agree on what matches", () => {
  const texts = fc.array(fc.constantFrom(...alphabet), { maxLength: 6 }).map((characters) => characters.join(""));
  fc.assert(
    fc.property(pattern, fc.array(texts, { minLength: 3, maxLength: 3 }), (source, samples) => {
      // Without its line separators a dot is the same to both.
      const expected = new RegExp(source, "u");
      for (const text of samples) expect(matches(source, text), `${source} ${text}`).toBe(expected.test(text));
    }),
    { numRuns: 1000 },
  );
});
