/** Whether an error is the operating system's `code`. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(errnoOf(error) ?? "");
}

/** The operating system's code of an error; `undefined` if it is another kind of error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return undefined;
  return error.code.startsWith("ERR_") ? undefined : error.code;
}

/** Says what a failed system call was for; keeps its properties. Other errors pass as they are. */
export function withSubject(error: unknown, subject: string, path: string): unknown {
  if (errnoOf(error) === undefined || !(error instanceof Error)) return error;
  const message = `${subject}: ${error.message}`;
  const where = "path" in error || message.includes(path) ? "" : ` '${path}'`;
  return Object.assign(new Error(message + where, { cause: error }), { path }, propertiesOf(error));
}

function propertiesOf(error: Error): Readonly<Record<string, unknown>> {
  const known = ["code", "errno", "syscall", "path"];
  return Object.fromEntries(
    Object.entries(error).filter(([name, value]) => known.includes(name) && value !== undefined),
  );
}
