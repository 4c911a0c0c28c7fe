import { CodedError } from "@varve/errors";
import type { Session } from "./database.ts";
import { systemError } from "./errors.ts";
import type { Named } from "./errors.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

export interface Format extends Named {
  readonly migrations: readonly string[];
  readonly applicationId: number | undefined;
  /** Before the tables are made, while nobody else can write. */
  readonly beforeMaking: () => void;
}

/**
 * Brings the file to the newest format in one step. Looks before it changes anything, so that files of others stay as they are.
 *
 * @throws ERR_NOT_IMPLEMENTED the file has a newer format (C08)
 * @throws ERR_INVALID_DATA, ERR_DATA_LOSS the file is a database of another program
 */
export async function migrate(database: SqliteDatabase, format: Format): Promise<void> {
  const { migrations, applicationId } = format;
  const newest = migrations.length;
  const found = await database.read((session) => formatOf(session, format));
  if (database.refusal !== undefined) {
    if (found === newest) return;
    const why = `format ${found} has to be brought to ${newest}`;
    throw systemError(database.refusal, `${format.subject} ${format.path}: ${why}`);
  }
  await database.attempt((connection) => connection.execute("PRAGMA journal_mode = WAL"));
  if (found === newest) return;
  await database.change((connection) => {
    // Another process may have been faster.
    const present = formatOf(connection, format);
    if (present === 0) format.beforeMaking();
    for (const migration of migrations.slice(present)) connection.execute(migration);
    if (applicationId !== undefined) connection.execute(`PRAGMA application_id = ${applicationId}`);
    connection.execute(`PRAGMA user_version = ${newest}`);
  });
}

function formatOf(session: Session, { subject, path, foreign, applicationId = 0, migrations }: Format): number {
  const format = numberOf(session, "user_version");
  const application = numberOf(session, "application_id");
  const isNew = format === 0 && application === 0 && session.get("SELECT 1 FROM sqlite_master LIMIT 1") === undefined;
  if (!isNew && (application !== applicationId || format < 1)) {
    throw new CodedError(foreign, `${subject} ${path}: a database of another program`);
  }
  if (format > migrations.length) {
    throw new CodedError(
      "ERR_NOT_IMPLEMENTED",
      `${subject} ${path}: format ${format} is newer than ${migrations.length}, the newest known to this version`,
    );
  }
  return format;
}

function numberOf(session: Session, pragma: string): number {
  return Number(session.get(`PRAGMA ${pragma}`)?.[pragma] ?? 0);
}
