import { CodedError } from "@varve/errors";
import type { Database, Session } from "./database.ts";
import { applicationId, migrations } from "./schema.ts";

const newest = migrations.length;

/**
 * Brings the file to the newest format in one step. Looks before it changes anything, so that files of others stay as they are.
 *
 * @throws ERR_NOT_IMPLEMENTED the file has a newer format
 * @throws ERR_INVALID_DATA the file is a database of another program
 */
export async function migrate(database: Database): Promise<void> {
  const format = await database.read((session) => formatOf(session, database.path));
  if (database.readOnly) {
    if (format === newest) return;
    const why = `format ${format} has to be brought to ${newest}, and the file system is read-only`;
    throw Object.assign(new Error(`metadata ${database.path}: ${why}`), { code: "EROFS" });
  }
  await database.execute("PRAGMA journal_mode = WAL");
  if (format === newest) return;
  await database.write((session) => {
    // Another process may have been faster.
    const present = formatOf(session, database.path);
    if (present === newest) return;
    const connection = database.mustBeOpen();
    for (const migration of migrations.slice(present)) connection.exec(migration);
    connection.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${newest}`);
  });
}

function formatOf(session: Session, path: string): number {
  const format = numberOf(session, "user_version");
  const application = numberOf(session, "application_id");
  const isEmpty = session.get("SELECT 1 FROM sqlite_master LIMIT 1") === undefined;
  if (application !== applicationId && !(application === 0 && format === 0 && isEmpty)) {
    throw new CodedError("ERR_INVALID_DATA", `metadata ${path}: a database of another program`);
  }
  if (format > newest) {
    throw new CodedError(
      "ERR_NOT_IMPLEMENTED",
      `metadata ${path}: format ${format} is newer than ${newest}, the newest known to this version`,
    );
  }
  return format;
}

function numberOf(session: Session, pragma: string): number {
  return Number(session.get(`PRAGMA ${pragma}`)?.[pragma] ?? 0);
}
