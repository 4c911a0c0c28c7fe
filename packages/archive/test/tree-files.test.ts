import { treeFiles } from "@varve/archive";
import { expect, test } from "vitest";
import { apply, Sandbox } from "./sandbox.ts";
import { file, type Spec, symlink, tar } from "./tar-builder.ts";

const deep = Array.from({ length: 25 }, (_, at) => String(at).padEnd(200, "n"));
const long = (path: string, spec: Spec): Spec => ({ ...spec, pax: { path } });

/** What `treeFiles` says of a name. */
function lookUp(root: string, name: string): string {
  const files = treeFiles(root);
  try {
    const found = files.open(Buffer.from(name));
    if (typeof found === "string") return found;
    try {
      const content = Buffer.alloc(found.size);
      found.read(content);
      return content.toString();
    } finally {
      found.close();
    }
  } finally {
    files.close();
  }
}

// Longer than a path of the kernel may be, so that links are resolved here and not there.
test("links lead to the same files in names that the kernel cannot take at once", () => {
  using box = new Sandbox();
  const root = box.directory();
  const bottom = deep.join("/");
  apply(
    tar(
      file("etc/passwd", "inside"),
      long(`${bottom}/f`, file("f", "deep")),
      symlink("/", "absolute"),
      long(`${bottom}/top`, symlink("../".repeat(60), "top")),
      long(`${bottom}/beside`, symlink(`../${deep.at(-1)}`, "beside")),
      long(`${bottom}/round`, symlink("round", "round")),
      long(`${bottom}/over`, symlink(`f/../../${deep.at(-1)}`, "over")),
    ),
    root,
  );
  const seen = (name: string): string => lookUp(root, `${bottom}/${name}`);
  expect(seen("f")).toBe("deep");
  expect(lookUp(root, `absolute/${bottom}/f`)).toBe("deep");
  expect(seen("top/etc/passwd")).toBe("inside");
  expect(seen("beside/f")).toBe("deep");
  expect(seen("round/f")).toBe("is gone");
  expect(seen("over/f")).toBe("is gone");
  expect(seen("f/below")).toBe("is gone");
  expect(seen("missing/f")).toBe("is gone");
  expect(seen("round")).toBe("is a symbolic link now");
});

test("a file is read whatever was opened between", () => {
  using box = new Sandbox();
  const root = box.directory();
  apply(tar(file("top", "0"), file("a/f", "1"), file("b/f", "2"), symlink("b", "link"), file("b/c/f", "3")), root);
  const files = treeFiles(root);
  const contents = ["a/f", "link/f", "top", "link/c/f", "link/../a/f"].map((name) => {
    const found = files.open(Buffer.from(name));
    if (typeof found === "string") throw new Error(`${name} ${found}`);
    expect(files.open(Buffer.from("a/none"))).toBe("is gone");
    expect(files.open(Buffer.from("none/f"))).toBe("is gone");
    const content = Buffer.alloc(1);
    expect(found.read(content)).toBe(1);
    expect(found.read(content)).toBe(0);
    found.close();
    return content.toString();
  });
  files.close();
  expect(contents).toEqual(["1", "2", "0", "3", "1"]);
});
