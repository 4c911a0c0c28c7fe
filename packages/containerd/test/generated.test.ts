import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const folder = join(import.meta.dirname, "..");

test("the messages were made from the .proto files as they are: npm run proto", () => {
  const made: unknown = JSON.parse(readFileSync(join(folder, "src/gen/sources.json"), "utf8"));
  const now = globSync("proto/**/*.proto", { cwd: folder }).map((file) => [
    file,
    createHash("sha256")
      .update(readFileSync(join(folder, file)))
      .digest("hex"),
  ]);
  expect(now.length).toBeGreaterThan(9);
  expect(made).toEqual(Object.fromEntries(now));
});
