export type { Database, Row, Session } from "@varve/sqlite";
