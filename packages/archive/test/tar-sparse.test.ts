import { describe, expect, test } from "vitest";
import { read } from "./read-tar.ts";
import { checksummed, entry, extended, file, tar } from "./tar-builder.ts";

const end = Buffer.alloc(1024);
const number = (value: number): Buffer => Buffer.from(`${value.toString(8).padStart(11, "0")}\0`);

describe("sparse files", () => {
  const data = Buffer.from("aaabb");
  const whole = Buffer.concat([
    Buffer.alloc(5),
    Buffer.from("aaa"),
    Buffer.alloc(2),
    Buffer.from("bb"),
    Buffer.alloc(8),
  ]);
  const gnu = (pieces: readonly [number, number][], size: number): Buffer => {
    const head = entry({ name: "s", type: "S", content: data, magic: "ustar  \0" });
    pieces.slice(0, 4).forEach(([offset, length], at) => {
      number(offset).copy(head, 386 + 24 * at);
      number(length).copy(head, 398 + 24 * at);
    });
    number(size).copy(head, 483);
    const more = Buffer.alloc(pieces.length > 4 ? 512 : 0);
    if (pieces.length > 4) head[482] = 1;
    pieces.slice(4).forEach(([offset, length], at) => {
      number(offset).copy(more, 24 * at);
      number(length).copy(more, 24 * at + 12);
    });
    checksummed(head);
    return Buffer.concat([head.subarray(0, 512), more, head.subarray(512), entry(file("after")), end]);
  };
  const map10 = Buffer.alloc(512);
  map10.write("2\n5\n3\n10\n2\n");
  const forms: readonly (readonly [string, Buffer])[] = [
    [
      "GNU",
      gnu(
        [
          [5, 3],
          [10, 2],
          [20, 0],
        ],
        20,
      ),
    ],
    [
      "GNU with an extension block",
      gnu(
        [
          [5, 1],
          [6, 1],
          [7, 1],
          [10, 1],
          [11, 1],
          [20, 0],
        ],
        20,
      ),
    ],
    [
      "pax 0.0",
      Buffer.concat([
        extended("x", [
          ["GNU.sparse.size", "20"],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.offset", "5"],
          ["GNU.sparse.numbytes", "3"],
          ["GNU.sparse.offset", "10"],
          ["GNU.sparse.numbytes", "2"],
        ]),
        entry(file("s", data)),
        tar(file("after")),
      ]),
    ],
    [
      "pax 0.1",
      tar(
        {
          ...file("x", data),
          pax: {
            "GNU.sparse.name": "s",
            "GNU.sparse.size": "20",
            "GNU.sparse.numblocks": "2",
            "GNU.sparse.map": "5,3,10,2",
          },
        },
        file("after"),
      ),
    ],
    [
      "pax 1.0",
      tar(
        {
          ...file("x", Buffer.concat([map10, data])),
          pax: {
            "GNU.sparse.name": "s",
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.realsize": "20",
          },
        },
        file("after"),
      ),
    ],
  ];

  test.each(forms)("of the form %s come out whole", (_form, archive) => {
    for (const size of [1, 300, archive.length]) {
      const [sparse, after] = read(archive, [size]);
      expect(sparse).toMatchObject({ name: Buffer.from("s"), type: "file", size: 20 });
      expect(sparse?.content.toString("latin1")).toBe(whole.toString("latin1"));
      expect(after?.name.toString()).toBe("after");
    }
  });

  test.each([
    [
      "pieces that overlap",
      gnu(
        [
          [5, 3],
          [6, 2],
        ],
        20,
      ),
    ],
    [
      "pieces beyond the end",
      gnu(
        [
          [5, 3],
          [19, 2],
        ],
        20,
      ),
    ],
    [
      "pieces for more bytes than there are",
      gnu(
        [
          [5, 3],
          [10, 3],
        ],
        20,
      ),
    ],
    ["a map of half a pair", tar({ ...file("x", data), pax: { "GNU.sparse.size": "20", "GNU.sparse.map": "5,3,10" } })],
    [
      "a map that is no number",
      tar({
        ...file("x", Buffer.from("x\n".padEnd(512, "1"))),
        pax: { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "20" },
      }),
    ],
  ])("with %s are refused", (_name, archive) => {
    expect(() => read(archive)).toThrow(expect.objectContaining({ code: "ERR_INVALID_DATA" }));
  });
});
