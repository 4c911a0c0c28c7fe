import { entry, file } from "../build/entries.ts";
import { bad, cut, layer } from "../build/layer.ts";
import { base256 } from "../build/numbers.ts";
import { paxRecord, rawPax } from "../build/pax.ts";
import { gnu, mapped, one, type Piece, zero } from "../build/sparse.ts";
import { escapedName } from "../canary.ts";
import { aFile } from "../tree/expected.ts";
import type { HostileLayers, Refusal } from "../types.ts";

const gives = (name: string, about: string, part: Buffer, content = "\0\0abc\0\0de\0"): HostileLayers => ({
  name: `sparse/${name}`,
  about,
  layers: [layer(part, file("after", "x"))],
  expect: { tree: { s: aFile(content), after: aFile("x") } },
});

const refuses = (
  name: string,
  about: string,
  part: Buffer,
  rule = "sparse-map",
  refused: Refusal["refused"] = "ERR_INVALID_DATA",
): HostileLayers => ({
  name: `sparse/${name}`,
  about,
  layers: [layer(file("kept"), bad(part), file("after", "x"))],
  expect: { refused, rule },
});

const pieces: readonly Piece[] = [
  [2, 3],
  [7, 2],
];

/** Sparse files in the four forms that there are, and maps that do not fit. */
export function sparseVectors(): readonly HostileLayers[] {
  return [...right(), ...wrong(), ...wrongPax(), ...counts()];
}

function right(): readonly HostileLayers[] {
  const many = Array.from({ length: 30 }, (_, at): Piece => [at * 2, 1]);
  return [
    gives("gnu", "the old form", gnu(pieces, "abcde", 10)),
    gives("gnu-extended", "a map of 30 pieces", gnu(many, "z".repeat(30), 60), "z\0".repeat(30)),
    gives(
      "pax-0.0",
      "the first form of pax",
      zero(
        [
          ["2", "3"],
          ["7", "2"],
        ],
        "abcde",
        "10",
      ),
    ),
    gives("pax-0.1", "the second", mapped("2,3,7,2", "abcde", "10")),
    gives("pax-1.0", "the third", one("2\n2\n3\n7\n2\n", "abcde", "10")),
    gives("only-a-hole", "no data at all", one("0\n", "", "5"), "\0".repeat(5)),
    gives(
      "empty-pieces",
      "GNU tar ends maps with a piece of nothing",
      gnu(
        [
          [2, 3],
          [7, 2],
          [10, 0],
        ],
        "abcde",
        10,
      ),
    ),
  ];
}

function wrong(): readonly HostileLayers[] {
  return [
    refuses(
      "overlap",
      "two pieces write the same bytes",
      gnu(
        [
          [2, 3],
          [4, 2],
        ],
        "abcde",
        10,
      ),
    ),
    refuses(
      "out-of-order",
      "the second lies before the first",
      gnu(
        [
          [7, 2],
          [2, 3],
        ],
        "abcde",
        10,
      ),
    ),
    refuses(
      "beyond-the-end",
      "of the file",
      gnu(
        [
          [2, 3],
          [9, 2],
        ],
        "abcde",
        10,
      ),
    ),
    refuses(
      "too-little-data",
      "the pieces are longer than the content",
      gnu(
        [
          [2, 3],
          [7, 3],
        ],
        "abcde",
        10,
      ),
    ),
    refuses("too-much-data", "the content is longer than the pieces", gnu([[2, 3]], "abcde", 10)),
    refuses("negative", "an offset below zero", gnu([[base256(-4n, 12), 5]], "abcde", 10)),
    refuses(
      "overflow",
      "the end of the piece is beyond 2^64",
      gnu([[base256(2n ** 53n - 1n, 12), 5]], "abcde", base256(2n ** 53n - 1n, 12)),
    ),
    refuses("size-negative", "the file's size is below zero", gnu(pieces, "abcde", base256(-1n, 12)), "header-number"),
  ];
}

function wrongPax(): readonly HostileLayers[] {
  return [
    refuses("0.1-overlap", "in the record", mapped("2,3,4,2", "abcde", "10")),
    refuses("0.1-odd", "an offset without a length", mapped("2,3,7", "abcde", "10")),
    refuses("0.1-junk", "no numbers", mapped("2,3,x,2", "abcde", "10")),
    refuses(
      "0.0-turns",
      "two offsets in a row",
      Buffer.concat([
        rawPax(
          Buffer.concat([
            paxRecord("GNU.sparse.size", "10"),
            paxRecord("GNU.sparse.offset", "2"),
            paxRecord("GNU.sparse.offset", "7"),
            paxRecord("GNU.sparse.numbytes", "5"),
          ]),
        ),
        file("s", "abcde"),
      ]),
    ),
    refuses("1.0-overlap", "in the content", one("2\n2\n3\n4\n2\n", "abcde", "10")),
    refuses("1.0-junk", "no numbers", one("2\n2\n3\nx\n2\n", "abcde", "10")),
    refuses("1.0-without-newline", "a line that does not end", one("9".repeat(600), "abcde", "10")),
    refuses(
      "1.0-no-room",
      "the content is shorter than its map",
      Buffer.concat([
        rawPax(
          Buffer.concat([
            paxRecord("GNU.sparse.major", "1"),
            paxRecord("GNU.sparse.minor", "0"),
            paxRecord("GNU.sparse.name", "s"),
            paxRecord("GNU.sparse.realsize", "10"),
          ]),
        ),
        file("s", ""),
      ]),
    ),
    refuses(
      "name-leaves",
      "the record names another file than the header",
      one("2\n2\n3\n7\n2\n", "abcde", "10", { "GNU.sparse.name": `../${escapedName}` }),
      "path-above-root",
    ),
    refuses(
      "version-2",
      "nobody knows it",
      one("2\n2\n3\n7\n2\n", "abcde", "10", { "GNU.sparse.major": "2" }),
      "sparse-version",
      "ERR_NOT_IMPLEMENTED",
    ),
  ];
}

function counts(): readonly HostileLayers[] {
  const many = Array.from({ length: 2000 }, (_, at): Piece => [at, 1]);
  const limited = (
    name: string,
    about: string,
    part: Buffer,
    limits: Readonly<Record<string, number>>,
    rule: string,
  ): HostileLayers => ({
    ...refuses(name, about, part, rule, "ERR_RESOURCE_EXHAUSTED"),
    limits,
  });
  return [
    refuses("1.0-count-lies", "a thousand million pieces, and no more lines", one("1000000000\n2\n3\n", "", "10")),
    limited(
      "gnu-map-without-end",
      "Go's reader took gigabytes: CVE-2025-58183",
      gnu(many, "z".repeat(2000), 4000),
      { headerBytes: 4096 },
      "headerBytes",
    ),
    limited(
      "1.0-map-without-end",
      "the same in the content",
      one(`2000\n${"1\n0\n".repeat(2000)}`, "", "10"),
      { headerBytes: 4096 },
      "headerBytes",
    ),
    limited(
      "hole-of-a-terabyte",
      "holes count: copies of the file would fill them",
      one("0\n", "", "1099511627776"),
      { bytes: 1_000_000 },
      "bytes",
    ),
    {
      name: "sparse/cut-in-the-map",
      about: "the archive ends in the blocks of the map",
      layers: [cut(file("kept"), bad(gnu(many, "", 4000).subarray(0, 1024)))],
      expect: { refused: "ERR_INVALID_DATA", rule: "archive-end" },
    },
    refuses(
      "extension-of-zeros",
      "one more block of the map, with nothing in it, where the entry should end",
      Buffer.concat([entry({ name: "x" }), gnu(pieces, "abcdef", 10, { extended: true })]),
    ),
  ];
}
