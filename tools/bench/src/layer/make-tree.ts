import { createCipheriv, createHash } from "node:crypto";
import { mkdirSync, openSync, closeSync, readFileSync, readdirSync, readSync, writeFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const filesOfModules = 30_000;
const mebibyte = 1 << 20;

/** Numbers from 0 to 1 that are the same in every run. */
function numbersOf(seed: string): () => number {
  const cipher = createCipheriv("aes-128-ctr", createHash("md5").update(seed).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(6);
  return () => cipher.update(zeros).readUIntBE(0, 6) / 2 ** 48;
}

/** Half of the files have less than 1.5 KB, one in a hundred more than 50: about what package managers leave behind. */
function sizeOf(number: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - number())) * Math.cos(2 * Math.PI * number());
  return Math.min(mebibyte, Math.floor(1500 * Math.exp(1.5 * normal)));
}

/** Source code, to be cut into files: it compresses as those of packages do. */
function someCode(): Buffer {
  const types = dirname(createRequire(import.meta.url).resolve("@types/node/package.json"));
  const names = readdirSync(types).filter((name) => name.endsWith(".d.ts"));
  return Buffer.concat(names.toSorted().map((name) => readFileSync(join(types, name))));
}

/** A tree as a package manager makes it: packages in packages, 30,000 files, most of them small. */
export function makeModules(root: string): void {
  const number = numbersOf("modules");
  const code = someCode();
  let made = 0;
  for (let id = 0; made < filesOfModules; id += 1) {
    const scope = id % 4 === 0 ? `@scope-${id % 28}/` : "";
    const outer = id % 7 === 0 && id > 7 ? `package-${id - 7}/node_modules/` : "";
    const home = join(root, "app/node_modules", `${outer}${scope}package-${id}`);
    const count = Math.min(filesOfModules - made, 4 + Math.floor(80 * number() ** 3));
    for (let index = 0; index < count; index += 1) {
      const folder = join(home, ["", "dist", "dist/esm", "src/internal"][index % 4] ?? "");
      if (index < 4) mkdirSync(folder, { recursive: true });
      const size = sizeOf(number);
      const start = Math.floor(number() * (code.length - size));
      writeFileSync(
        join(folder, index === 0 ? "package.json" : `module-${index}.js`),
        code.subarray(start, start + size),
      );
    }
    made += count;
  }
}

/** One file of 750 MiB: two parts of machine code, which compresses, to one that does not. */
export function makeBinary(root: string): void {
  const code = openSync(process.execPath, "r");
  const file = openSync(join(root, "binary"), "w");
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, "varve"), Buffer.alloc(16));
  const part = Buffer.alloc(mebibyte);
  let at = 0;
  for (let index = 0; index < 750; index += 1) {
    if (index % 3 === 2) writeSync(file, cipher.update(part));
    else {
      if (readSync(code, part, 0, mebibyte, at) < mebibyte) at = 0;
      else at += mebibyte;
      writeSync(file, part);
    }
  }
  closeSync(file);
  closeSync(code);
}
