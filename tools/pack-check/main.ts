// Builds and packs every public package, inspects the tarballs, and uses them in an empty project on three lines of Node.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installConsumer } from "./consumer.ts";
import { inspectTarball } from "./inspect.ts";
import { installNodes } from "./nodes.ts";
import { packAll } from "./pack.ts";
import { smokeTest } from "./smoke.ts";
import { typecheckConsumer } from "./typecheck.ts";
import { eachLimited } from "../shared/execute.ts";

const folder = mkdtempSync(join(tmpdir(), "varve-pack-"));

const problems: string[] = [];

async function check(): Promise<void> {
  const tarballs = await packAll(join(folder, "tarballs"));
  console.log(`${tarballs.length} packages built and packed`);
  problems.push(...(await eachLimited(tarballs, 2, inspectTarball)).flat());
  console.log(`tarballs inspected: exports, contents, publint, attw`);

  const consumer = await installConsumer(join(folder, "consumer"), tarballs);
  problems.push(...(await typecheckConsumer(consumer, tarballs)));
  console.log("tarballs installed into an empty project, declarations type-checked");
  for (const node of await installNodes()) {
    const found = await smokeTest(node, consumer, tarballs);
    console.log(
      `node ${node.version}: ${found.length === 0 ? "every package loads, and an image is pulled" : "failed"}`,
    );
    problems.push(...found.map((problem) => `node ${node.version}: ${problem}`));
  }
}

try {
  await check();
} catch (error) {
  problems.push(error instanceof Error ? error.message : String(error));
} finally {
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
  rmSync(folder, { recursive: true });
}
