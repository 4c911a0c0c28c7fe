import {
  type Arbitrary,
  array,
  assert,
  constant,
  constantFrom,
  nat,
  oneof,
  option,
  property,
  record,
  tuple,
} from "fast-check";
import { describe, expect, test } from "vitest";
import { applyInPlace, applyMounted, applyStaged, isRoot, Sandbox } from "./sandbox.ts";
import { type Spec, tar } from "./tar-builder.ts";
import { type Node, readTree } from "./tree.ts";

const name = constantFrom("a", "b", "c", "d");
const path = array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
const linkText = oneof(
  path,
  path.map((target) => `/${target}`),
  path.map((target) => `../${target}`),
  tuple(path, path).map(([one, two]) => `${one}/../${two}`),
);
const mtime = nat(1_000_000);
const mode = constantFrom(0o644, 0o755, 0o4755, 0o2770, 0o1777, 0);
const owner = nat(3);
const xattrs = constantFrom<Record<string, string>>(
  {},
  {},
  { "SCHILY.xattr.user.a": "1" },
  { "SCHILY.xattr.user.b": "2" },
);

const spec: Arbitrary<Spec> = oneof(
  {
    weight: 4,
    arbitrary: record({ name: path, content: constantFrom("", "one", "two"), pax: xattrs, mode, mtime, uid: owner }),
  },
  { weight: 3, arbitrary: record({ name: path, type: constant("5"), pax: xattrs, mode, mtime, gid: owner }) },
  { weight: 2, arbitrary: record({ name: path, type: constant("2"), link: linkText, mtime }) },
  { weight: 2, arbitrary: record({ name: path, type: constant("1"), link: path }) },
  { weight: 1, arbitrary: record({ name: path, type: constant("6"), mode, mtime }) },
  { weight: 3, arbitrary: path.map((target) => ({ name: target.replace(/[a-d]$/, (last) => `.wh.${last}`) })) },
  {
    weight: 2,
    arbitrary: option(path).map((target) => ({ name: `${target === null ? "" : `${target}/`}.wh..wh..opq` })),
  },
);

const layers = array(array(spec, { maxLength: 8 }), { minLength: 1, maxLength: 3 });

// Two ways to the same tree must also refuse the same layers.
function outcome(make: () => string): readonly Node[] | string {
  try {
    return readTree(make(), { without: ["inode"] });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_INVALID_DATA") return "refused";
    throw error;
  }
}

describe.skipIf(!isRoot)("any layers give one tree (needs root)", () => {
  test("in place, staged for an overlay, and through an overlay's mount", { timeout: 600_000 }, () => {
    assert(
      property(layers, (specs) => {
        using box = new Sandbox();
        const archives = specs.map((each) => tar(...each));
        const inPlace = outcome(() => applyInPlace(box, archives));
        expect(outcome(() => applyMounted(box, archives))).toEqual(inPlace);
        expect(outcome(() => applyStaged(box, archives).root)).toEqual(inPlace);
      }),
      { numRuns: Number(process.env["VARVE_FUZZ_RUNS"] ?? 150) },
    );
  });
});
