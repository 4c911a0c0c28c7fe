import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

/** What a fresh Node prints that ran these statements; `sys` is the package. */
function run(before: string, after: string): unknown {
  const script = `
    import { createRequire } from "node:module";
    ${before}
    const sys = await import(${JSON.stringify(import.meta.resolve("@varve/syscalls"))});
    const koffiLoaded = () => Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes("koffi"));
    ${after}`;
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }));
}

test("native code is loaded by the first call and not by the import", () => {
  const loaded = run(
    "",
    "const before = koffiLoaded(); sys.isSupported(); console.log(JSON.stringify([before, koffiLoaded()]));",
  );
  expect(loaded).toEqual([false, true]);
});

test.each([
  ["platform", "darwin", "system calls: darwin is not supported, only linux is"],
  ["arch", "mips", "system calls: architecture mips is not supported"],
])("where the %s is %s the package can be imported and a call says what is missing", (property, value, message) => {
  const result = run(
    `Object.defineProperty(process, ${JSON.stringify(property)}, { value: ${JSON.stringify(value)} });`,
    `try { sys.tryMkdirat(-1, "x", 0); } catch (error) {
      console.log(JSON.stringify({ supported: sys.isSupported(), code: error.code, message: error.message }));
    }`,
  );
  expect(result).toEqual({ supported: false, code: "ERR_NOT_IMPLEMENTED", message });
});

test("without koffi a call says that koffi is missing", () => {
  const result = run(
    `import Module from "node:module";
    const load = Module._load;
    Module._load = function (name, ...rest) { if (name === "koffi") throw new Error("not here"); return load.call(this, name, ...rest); };`,
    `try { sys.tryMkdirat(-1, "x", 0); } catch (error) {
      console.log(JSON.stringify({ supported: sys.isSupported(), code: error.code, message: error.message }));
    }`,
  );
  const message = "system calls: the package koffi cannot be loaded";
  expect(result).toEqual({ supported: false, code: "ERR_NOT_IMPLEMENTED", message });
});
