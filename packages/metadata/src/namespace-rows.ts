import type { Session } from "./database.ts";

/** Within a write: brings a namespace that is used for the first time into being. */
export function useNamespace(session: Session, namespace: string): void {
  session.run("INSERT OR IGNORE INTO namespaces (name, labels) VALUES (?, '{}')", namespace);
}
