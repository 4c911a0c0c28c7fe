/**
 * Keeps Node 22 from telling every user of the command that `node:sqlite` is experimental: the choice is ours, and what we
 * use of it is the same in later versions. All other warnings are shown. To be called before `node:sqlite` is loaded.
 */
export function hideSqliteWarning(): void {
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this` below
  const { emitWarning } = process;
  process.emitWarning = (warning: string | Error, ...rest: readonly unknown[]): void => {
    const isSqlite = typeof warning === "string" && warning.startsWith("SQLite is an experimental feature");
    if (!isSqlite || rest[0] !== "ExperimentalWarning") Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
}
