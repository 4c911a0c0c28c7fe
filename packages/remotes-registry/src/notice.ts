/** Something a registry said, or that happened on the way, which is no error. Texts are printable and hold no secrets. */
export type RegistryNotice =
  /** A `Warning` header (distribution specification, "Warnings"); each text once for each host. */
  | { readonly type: "warning"; readonly host: string; readonly text: string }
  /** How many pulls the registry allows, as Docker Hub tells. */
  | {
      readonly type: "rate-limit";
      readonly host: string;
      readonly limit?: number | undefined;
      readonly remaining?: number | undefined;
      readonly windowSeconds?: number | undefined;
    }
  /** A request will be sent again. */
  | {
      readonly type: "retry";
      readonly host: string;
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  /** A mirror was of no use, and the next server is asked. */
  | { readonly type: "fallback"; readonly host: string; readonly to: string; readonly reason: string };

/** One HTTP exchange, for those who want to see what is said. Secrets in addresses and headers are replaced by `…`. */
export interface RegistryExchange {
  readonly method: string;
  readonly url: string;
  readonly requestHeaders: Readonly<Record<string, string>>;
  /** Absent when there was no answer. */
  readonly status?: number | undefined;
  readonly responseHeaders?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds until the answer's headers, or the failure. */
  readonly durationMs: number;
  readonly error?: string | undefined;
}
