import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory that is removed when it goes out of scope. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), "varve-content-fs-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** What the names of the files of an ingest begin with. */
function ingestId(ref: string): string {
  return createHash("sha256").update(ref).digest("hex");
}

/** The files of one ingest, as the layout puts them (U-LCS.1). */
export function ingestFiles(root: string, ref: string): { record: string; data: string } {
  const id = ingestId(ref);
  const record = join(root, "ingest", `${id}.record`);
  return { record, data: join(root, "ingest", `${id}.${String(recordOf(root, ref)["data"])}`) };
}

/** What the record of an ingest says, without its first line. */
export function recordOf(root: string, ref: string): Record<string, unknown> {
  const text = readFileSync(join(root, "ingest", `${ingestId(ref)}.record`), "utf8");
  return JSON.parse(text.slice(text.indexOf("\n"))) as Record<string, unknown>;
}

/** Makes the record say something else. */
export function changeRecord(root: string, ref: string, changes: Record<string, unknown>): void {
  const path = join(root, "ingest", `${ingestId(ref)}.record`);
  const head = readFileSync(path, "utf8").split("\n", 1)[0] ?? "";
  writeFileSync(path, `${head}\n${JSON.stringify({ ...recordOf(root, ref), ...changes })}\n`);
}

/** The process that wrote an ingest last, as if that had been before the machine was started last. */
export function moveToAnotherBoot(root: string, ref: string): void {
  const [pid, started, , ...rest] = String(recordOf(root, ref)["owner"]).split("/");
  const owner = [pid, started, "00000000-0000-4000-8000-000000000000", ...rest].join("/");
  changeRecord(root, ref, { owner });
}

/** What is left under `ingest` of a store that nobody has open. */
export function leftovers(root: string): string[] {
  return readdirSync(join(root, "ingest")).filter((name) => name !== "lock");
}
