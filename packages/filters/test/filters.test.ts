import { compileFilters, mapField, parseFilter } from "@varve/filters";
import type { Selector } from "@varve/filters";
import { hasCode } from "@varve/errors";
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";

interface Item {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const items: readonly Item[] = [
  { name: "alpine", labels: { env: "prod", "a b": "1" } },
  { name: "busybox", labels: { env: "dev", "example.com/key": "x.y-z" } },
  { name: "caddy" },
  { name: "debian", labels: { env: "", 'with "quotes" and \\': "yes" } },
];

function passing(...filters: readonly string[]): string[] {
  const passes = compileFilters<Item>(filters, ({ name, labels = {} }, [field, ...rest]) => {
    if (field === "labels") return mapField(labels, rest);
    return field === "name" && rest.length === 0 ? name : undefined;
  });
  return items.filter(passes).map(({ name }) => name);
}

// U-SUP.1
describe("a filter lets through what it says:", () => {
  const all = ["alpine", "busybox", "caddy", "debian"];
  it.each<[string, readonly string[]]>([
    ["", all],
    ["name", all],
    ["other", []],
    ["name.first", []],
    ["labels.env", ["alpine", "busybox", "debian"]],
    ["labels.env==prod", ["alpine"]],
    ['labels.env==""', ["debian"]],
    ["name==alpine,labels.env==prod", ["alpine"]],
    ["name==alpine,labels.env==dev", []],
    ['labels."a b"', ["alpine"]],
    ['labels."a b"==1', ["alpine"]],
    ['labels."example.com/key"==x.y-z', ["busybox"]],
    ['labels.example."com/key"', ["busybox"]],
    ['labels."with \\"quotes\\" and \\\\"==yes', ["debian"]],

    [" name ==  caddy", ["caddy"]],
    ["name==caddy, labels.env!=dev", ["caddy"]],
    ["name~=^[ab]", ["alpine", "busybox"]],
    ["name~=d", ["caddy", "debian"]],
    ["name~=/^.{6,7}$/", ["alpine", "busybox", "debian"]],
    ["name~=|a{1,2}n|", ["debian"]],
    ['name~="y{1,2}$"', ["caddy"]],
    ["name~=ALPINE", []],
  ])("%s", (filter, expected) => {
    expect(passing(filter)).toEqual(expected);
  });
});

test("no filters let everything through, several what one of them does", () => {
  expect(passing()).toHaveLength(items.length);
  expect(compileFilters(undefined, () => undefined)({})).toBe(true);
  expect(passing("name==caddy", "labels.env==prod")).toEqual(["alpine", "caddy"]);
  expect(passing("name==caddy", "")).toHaveLength(items.length);
});

test("what an item lacks counts as empty text for != and ~=, as in containerd", () => {
  expect(passing("labels.env!=prod")).toEqual(["busybox", "caddy", "debian"]);
  expect(passing('labels.env!=""')).toEqual(["alpine", "busybox"]);
  expect(passing("labels.env~=^$")).toEqual(["caddy", "debian"]);
});

test("labels are found by their own names only", () => {
  expect(mapField({}, ["constructor"])).toBeUndefined();
  expect(mapField(JSON.parse('{"__proto__":"x"}'), ["__proto__"])).toBe("x");
  expect(mapField({ "a.b": "1" }, ["a", "b"])).toBe("1");
});

describe("a filter is read as containerd reads it:", () => {
  it.each<[string, Selector]>([
    ["a-1.B_2", { path: ["a-1", "B_2"], operator: "present", value: "" }],
    ["1.2", { path: ["1", "2"], operator: "present", value: "" }],
    ['"a.b"."c"==d', { path: ["a.b", "c"], operator: "==", value: "d" }],
    ["a==b==c", { path: ["a"], operator: "==", value: "b==c" }],
    ["a==b/c|d\"e'f", { path: ["a"], operator: "==", value: "b/c|d\"e'f" }],
    ["a!='b'", { path: ["a"], operator: "!=", value: "'b'" }],
    ["a~=[abc]\\+", { path: ["a"], operator: "~=", value: "[abc]\\+" }],
    ["a~=/b\\/c,d/", { path: ["a"], operator: "~=", value: "b/c,d" }],
    ["a~=|b/c|", { path: ["a"], operator: "~=", value: "b/c" }],
    ['a=="\\a\\b\\f\\n\\r\\t\\v\\\\\\""', { path: ["a"], operator: "==", value: '\u0007\b\f\n\r\t\v\\"' }],
    ['a=="\\101\\x42\\u00e9\\U0001f409\\xc3\\xa9"', { path: ["a"], operator: "==", value: "ABé🐉é" }],
    ['a==""', { path: ["a"], operator: "==", value: "" }],
    ["a~=牛", { path: ["a"], operator: "~=", value: "牛" }],
    [" a. b\u0085\u3000==\tc", { path: ["a", "b"], operator: "==", value: "c" }],
  ])("%s", (text, selector) => {
    expect(parseFilter(text)).toEqual([selector]);
  });
});

describe("what is no filter is refused with the place:", () => {
  it.each([
    [" ", "at the end: expected a field"],
    ["a,", "at the end: expected a field"],
    ["labels.", "at the end: expected a field"],
    ["a,,b", 'at 3, ",b": expected a field'],
    ["labels.?x", 'at 8, "?x": expected a field'],
    ["a=b", 'at 2, "=b": operator = is none of'],
    ["a===b", 'at 2, "===b": operator === is none of'],
    ["labels.ns/key==v", 'at 10, "/key==v": expected one of ==, != and ~=; other names'],
    ["a ,b", 'at 3, ",b": expected one of'],
    ["a==", "at the end: expected a value"],
    ["a==,b", 'at 4, ",b": expected a value'],
    ["a==.b", 'at 4, ".b": expected a value'],
    ["a== =b", 'at 5, "=b": expected a value'],
    ["a==b c", 'at 5, " c": expected a comma or the end'],
    ["a==b ", 'at 5, " ": expected a comma or the end'],
    ['a=="b"c', 'at 7, "c": expected a comma or the end'],
    ["a==/b/", 'at 4, "/b/": a value that begins with / goes in double quotes'],
    ["labels.|a|", 'at 8, "|a|": expected a field'],
    ['a=="b', 'at 4, "\\"b": the quoted text does not end'],
    ['a=="b\nc"', 'at 4, "\\"b\\nc\\"": the quoted text does not end'],
    ['a=="\\g"', 'at 5, "\\\\g\\"": no escape of a Go string'],
    ["a~=/\\./", 'at 5, "\\\\./": no escape of a Go string'],
    ['a=="\\xaz"', 'at 5, "\\\\xaz\\"": no escape of a Go string'],
    ['a=="\\400"', 'at 5, "\\\\400\\"": the number of the escape is too large'],
    ['a=="\\U00110000"', "the number of the escape is too large"],
    ['a=="\\xff"', "the bytes of the quoted text are not UTF-8"],
    ["a\0b", 'at 2, "\\u0000b": expected one of'],
    ["a==b\uFFFD", "expected a comma or the end"],
    ["a==\uD800", "expected a value"],
    ["🐉", 'at 1, "🐉": expected a field'],
    ['"🐉"x', 'at 4, "x": expected one of'],
    ["a~=(b", 'regular expression "(b"'],
  ])("%s", (text, message) => {
    const attempt = (): unknown => compileFilters([text], () => undefined);
    expect(attempt).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
    expect(attempt).toThrow(message);
    expect(attempt).toThrow("filter ");
  });
});

test("messages hold nothing that a terminal obeys, and only the beginning of a long filter", () => {
  expect(() => parseFilter(`?\u001B[2J\u009B2J${"x".repeat(5000)}`)).toThrow(/^[\u0020-\u007E…]{1,300}$/);
});

const word = fc.string({ unit: "binary" }).filter((text) => text.isWellFormed() && !/[\0\uFFFD]/.test(text));
const selector = fc.record<Selector>({
  path: fc.tuple(word, fc.array(word, { maxLength: 3 })).map(([first, rest]) => [first, ...rest] as const),
  operator: fc.constantFrom("==", "!=", "~="),
  value: word,
});

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}

function print({ path, operator, value }: Selector): string {
  return `${path.map(quoted).join(".")}${operator}${quoted(value)}`;
}

test("any fields and values can be written in quotes, and are read back the same", () => {
  fc.assert(
    fc.property(fc.array(selector, { minLength: 1, maxLength: 4 }), (selectors) => {
      expect(parseFilter(selectors.map(print).join(","))).toEqual(selectors);
    }),
  );
});

function outcome(text: string): unknown {
  try {
    compileFilters([text], () => "value")({});
    return "a test";
  } catch (error) {
    return hasCode(error, "ERR_INVALID_ARGUMENT") ? error.code : error;
  }
}

test("any text is either a filter or refused, and refused texts give no other error", () => {
  const pieces = fc.constantFrom(
    "a",
    "labels",
    ".",
    ",",
    "==",
    "!=",
    "~=",
    '"',
    "/",
    "|",
    "\\",
    "n",
    "x4",
    " ",
    "é",
    "(",
    "*",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.array(pieces).map((parts) => parts.join("")),
      ),
      (text) => {
        expect(["a test", "ERR_INVALID_ARGUMENT"]).toContain(outcome(text));
      },
    ),
    { numRuns: 2000 },
  );
});

test("commas are and, lists are or", () => {
  const simple = fc.constantFrom("name==alpine", "labels.env", "labels.env!=dev", "name~=[cd]", "other");
  fc.assert(
    fc.property(
      fc.array(fc.array(simple, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
      (filters) => {
        const expected = items
          .map(({ name }) => name)
          .filter((name) => filters.some((parts) => parts.every((part) => passing(part).includes(name))));
        expect(passing(...filters.map((parts) => parts.join(",")))).toEqual(expected);
      },
    ),
  );
});
