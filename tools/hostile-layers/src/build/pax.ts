import { header } from "./header.ts";
import { bytesOf } from "./numbers.ts";

export type PaxRecord = readonly [key: string, value: string | Buffer];

/** An extended header of records that say their own length right. */
export function pax(records: readonly PaxRecord[], type = "x"): Buffer {
  return rawPax(Buffer.concat(records.map(([key, value]) => paxRecord(key, value))), type);
}

/** An extended header with any content at all. */
export function rawPax(content: string | Buffer, type = "x"): Buffer {
  const body = bytesOf(content);
  return Buffer.concat([
    header({ name: "PaxHeader", type, size: body.length }),
    body,
    Buffer.alloc(-body.length & 511),
  ]);
}

/** One record; its length counts its own digits. */
export function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, "latin1"), bytesOf(value), Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
