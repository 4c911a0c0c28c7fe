export type { Database, Row, Session, WriteSession } from "./database.ts";
export { openDatabase } from "./open-database.ts";
export type { DatabaseOptions } from "./open-database.ts";
