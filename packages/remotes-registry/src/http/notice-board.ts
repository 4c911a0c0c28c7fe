import type { RegistryNotice } from "../notice.ts";
import { printable } from "./printable.ts";
import { parseRateLimit } from "./rate-limit.ts";
import type { Secrets } from "./secrets.ts";
import { parseWarning } from "./warning.ts";

type Headers = Readonly<Record<string, string | string[] | undefined>>;

const maxHosts = 256;
// A server that thinks of a new text for every answer is not listened to any more.
const maxTexts = 64;
// The specification's own limit for all warnings of one answer.
const maxWarningBytes = 4096;

interface HostRecord {
  readonly texts: Set<string>;
  rate: string | undefined;
}

/** Tells each thing that registries say beside their answers once, in bounded memory. */
export class NoticeBoard {
  readonly #tell: (notice: RegistryNotice) => void;
  readonly #secrets: Secrets;
  readonly #hosts = new Map<string, HostRecord>();

  constructor(tell: (notice: RegistryNotice) => void, secrets: Secrets) {
    this.#tell = tell;
    this.#secrets = secrets;
  }

  /** Takes in the headers of one answer of a registry. */
  read(host: string, headers: Headers): void {
    if (headers["warning"] !== undefined) this.#readWarnings(host, valuesOf(headers["warning"]));
    if (headers["ratelimit-limit"] !== undefined || headers["ratelimit-remaining"] !== undefined) {
      this.#readRate(host, headers);
    }
  }

  #readWarnings(host: string, values: readonly string[]): void {
    const { texts } = this.#record(host);
    let bytes = 0;
    for (const value of values) {
      bytes += Buffer.byteLength(value);
      if (bytes > maxWarningBytes || texts.size >= maxTexts) return;
      const text = printable(this.#secrets.hide(parseWarning(value) ?? ""));
      if (text === "" || texts.has(text)) continue;
      texts.add(text);
      this.#tell({ type: "warning", host, text });
    }
  }

  #readRate(host: string, headers: Headers): void {
    const limit = parseRateLimit(valuesOf(headers["ratelimit-limit"])[0]);
    const remaining = parseRateLimit(valuesOf(headers["ratelimit-remaining"])[0]);
    if (limit === undefined && remaining === undefined) return;
    const windowSeconds = limit?.windowSeconds ?? remaining?.windowSeconds;
    const rate = { limit: limit?.count, remaining: remaining?.count, windowSeconds };
    const record = this.#record(host);
    const key = JSON.stringify(rate);
    if (record.rate === key) return;
    record.rate = key;
    this.#tell({ type: "rate-limit", host, ...rate });
  }

  #record(host: string): HostRecord {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    for (const oldest of this.#hosts.keys()) {
      if (this.#hosts.size < maxHosts) break;
      this.#hosts.delete(oldest);
    }
    const record: HostRecord = { texts: new Set(), rate: undefined };
    this.#hosts.set(host, record);
    return record;
  }
}

function valuesOf(value: string | string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}
