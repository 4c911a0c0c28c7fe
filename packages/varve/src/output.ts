/** Where a command's result goes: text for people, or one JSON object. */
export interface Output {
  readonly json: boolean;
  /** Prints `value` as JSON if that was asked for, else the text. */
  result(value: unknown, text: () => string): void;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result(value, text) {
      const printed = json ? JSON.stringify(value) : text();
      if (printed !== "") process.stdout.write(`${printed}\n`);
    },
  };
}

/** A reader that went away (`varve images ls | head -1`) is no failure. */
export function ignoreClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      process.exit(process.exitCode ?? 0);
    });
  }
}
