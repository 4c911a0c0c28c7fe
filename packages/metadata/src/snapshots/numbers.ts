import type { SnapshotPlace } from "./place.ts";

/**
 * Has numbers begin above all that are in use below. They come from a sequence that is never reset; but the database may
 * have been lost or taken from a copy while the snapshots stayed (P07), and then new keys meet old ones.
 */
export async function skipUsedNumbers({ backend, database }: SnapshotPlace): Promise<void> {
  let highest = 0;
  for await (const { name } of backend.walk()) {
    const number = /^[^/]+\/([0-9]{1,15})\//.exec(name)?.[1];
    highest = Math.max(highest, Number(number ?? 0));
  }
  await database.write((session) =>
    session.run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'snapshots'", highest),
  );
}
