import { spawn } from "node:child_process";
import { once } from "node:events";
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
  readonly ended: Promise<PullerEnd>;
}

export interface PullersOptions {
  readonly root: string;
  /** Where they mark the layers that they are at. */
  readonly markers: string;
  readonly reference: string;
  /** Ends them with the test. */
  readonly signal: AbortSignal;
}

/** Starts processes that wait to begin, so that they can begin at once. */
export function startPullers(count: number, options: PullersOptions): Promise<readonly Puller[]> {
  return Promise.all(Array.from({ length: count }, () => startPuller(options)));
}

async function startPuller({ root, markers, reference, signal }: PullersOptions): Promise<Puller> {
  const program = join(import.meta.dirname, "pull-once.ts");
  const child = spawn(process.execPath, [program, root, markers, reference], { signal, killSignal: "SIGKILL" });
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
  await Promise.race([once(reader, "line"), ended]);
  return {
    go: () => void child.stdin.write("\n"),
    killAfter: (milliseconds) => void setTimeout(() => child.kill("SIGKILL"), milliseconds),
    ended,
  };
}
