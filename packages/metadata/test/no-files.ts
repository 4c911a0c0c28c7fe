// A process of its own that may open no more than so many files.
import { closeSync, openSync } from "node:fs";
import { openIn } from "./temp.ts";

const [path = "", free = ""] = process.argv.slice(2);
const temp = { path, [Symbol.asyncDispose]: async () => {} };

function takeAll(): number[] {
  const files: number[] = [];
  for (;;) {
    try {
      files.push(openSync("/dev/null", "r"));
    } catch {
      return files;
    }
  }
}

const files = takeAll();
for (const file of files.splice(0, Number(free))) closeSync(file);
try {
  await openIn(temp);
  process.stdout.write("no failure\n");
} catch (error) {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  process.stdout.write(`${code} ${error instanceof Error ? error.message : ""}\n`);
}
for (const file of files) closeSync(file);
await (await openIn(temp)).close();
process.stdout.write("then it works\n");
