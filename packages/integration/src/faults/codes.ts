/** The code of an error, whatever was thrown. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** For `catch`: lets an error with one of these codes pass as `undefined`. */
export function unless(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.some((code) => code === codeOf(error))) throw error;
    return undefined;
  };
}
