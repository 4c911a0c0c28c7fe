import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface PulledLayer {
  readonly chainId: string;
  readonly status: "unpacked" | "exists";
}

export interface PullerEnd {
  /** `null`: it was killed. */
  readonly status: number | null;
  /** Of one that has come to its end. */
  readonly layers: readonly PulledLayer[];
  readonly stderr: string;
}

/** A process that pulls one image. */
export interface Puller {
  /** Has it begin. */
  go(): void;
  /** Kills it after that many milliseconds, if it still runs. */
  killAfter(milliseconds: number): void;
  /** It stands still in the midst of a layer, or has ended. */
  readonly stands: Promise<unknown>;
  readonly ended: Promise<PullerEnd>;
}

export interface PullersOptions {
  readonly root: string;
  /** Where they mark the layers that they are at. */
  readonly markers: string;
  readonly reference: string;
  /** The layers that it prepares before it stands still until it is killed. Default: it never does. */
  readonly standsAt?: number | undefined;
  /** Ends them with the test. */
  readonly signal: AbortSignal;
}

/** Starts processes that wait to begin, so that they can begin at once. */
export function startPullers(count: number, options: PullersOptions): Promise<readonly Puller[]> {
  return Promise.all(Array.from({ length: count }, () => startPuller(options)));
}

export async function startPuller(options: PullersOptions): Promise<Puller> {
  const { root, markers, reference, signal, standsAt = 0 } = options;
  const program = join(import.meta.dirname, "pull-once.ts");
  // It starts in a third of the time.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), "varve-pullers-compiled") };
  const args = [program, root, markers, reference, String(standsAt)];
  const child = spawn(process.execPath, args, { env, signal, killSignal: "SIGKILL" });
  // The signal's reason is what the test fails with.
  child.on("error", () => undefined);
  const lines: string[] = [];
  const reader = createInterface(child.stdout).on("line", (line) => lines.push(line));
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, "close").then(([code]): PullerEnd => {
    const last = lines.findLast((line) => line.startsWith("{")) ?? '{"layers":[]}';
    const { layers }: Pick<PullerEnd, "layers"> = JSON.parse(last);
    return { status: typeof code === "number" ? code : null, layers, stderr };
  });
  const stands = Promise.withResolvers<void>();
  reader.on("line", (line) => line === "amidst" && stands.resolve());
  await Promise.race([once(reader, "line"), ended]);
  return {
    go: () => void child.stdin.write("\n"),
    killAfter: (milliseconds) => void setTimeout(() => child.kill("SIGKILL"), milliseconds),
    stands: Promise.race([stands.promise, ended]),
    ended,
  };
}
