import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { leadsInside } from "../auth/realm.ts";
import { failureOf } from "../http/failure.ts";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import { withRetries } from "../http/retry.ts";
import type { Transport } from "../http/transport.ts";
import type { Settings } from "../options.ts";

/** A manifest may name as many addresses as it likes; more are not tried. */
const maxUrls = 4;

type Headers = Readonly<Record<string, string>>;

/** An address, and the server that led to it, if that is known: addresses of inner networks are asked only beside it. */
interface Place {
  readonly url: URL;
  readonly beside: URL | undefined;
}

/**
 * The addresses outside the registry where a blob may be had (B10). Whoever wrote the manifest chose them, so they get nothing
 * but the request: no credentials, no headers of the user, and no way into inner networks, also not by a redirect.
 */
export class ForeignSource {
  readonly #transport: Transport;
  readonly #settings: Settings;
  readonly #descriptor: Descriptor;
  #found: Place | undefined;

  constructor(transport: Transport, settings: Settings, descriptor: Descriptor) {
    this.#transport = transport;
    this.#settings = settings;
    this.#descriptor = descriptor;
  }

  /** Whether one of them had it. */
  get isFound(): boolean {
    return this.#found !== undefined;
  }

  /** Asks the one that had it. */
  async again(headers: Headers, signal: AbortSignal | undefined): Promise<Reply> {
    if (this.#found === undefined)
      throw new CodedError("ERR_INTERNAL", `content ${this.#descriptor.digest}: no address`);
    return this.#ask(this.#found, headers, signal);
  }

  /**
   * Asks one after the other for what the registry does not have.
   *
   * @param missing the registry's answer; its failure is thrown if there are no addresses
   */
  async find(
    missing: { readonly failure: CodedError; readonly reply: Reply },
    headers: Headers,
    signal: AbortSignal | undefined,
  ): Promise<Reply> {
    let failure = missing.failure;
    const beside = missing.reply.foreign ? undefined : missing.reply.url;
    for (const url of addressesIn(this.#descriptor)) {
      try {
        const reply = await this.#ask({ url, beside }, headers, signal);
        this.#found = { url, beside };
        return reply;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof CodedError)) throw error;
        failure = new CodedError(error.code, `${failure.message}; ${error.message}`, { cause: error });
      }
    }
    throw failure;
  }

  async #ask({ url, beside }: Place, accept: Headers, signal: AbortSignal | undefined): Promise<Reply> {
    const headers = { "user-agent": this.#settings.userAgent, "accept-encoding": "identity", ...accept };
    const allow = (hop: URL): void => mustBeHarmless(hop, { url, beside });
    const exchange = { method: "GET", url, headers, signal, foreign: true, allow } as const;
    const reply = await withRetries(this.#settings, { host: url.host, signal }, () =>
      this.#transport.exchange(exchange),
    );
    if (reply.status === 200 || reply.status === 206 || (reply.status === 416 && "range" in accept)) return reply;
    throw await failureOf(reply, []);
  }
}

function addressesIn({ urls = [] }: Descriptor): readonly URL[] {
  const parsed = urls.slice(0, maxUrls).map((text) => URL.parse(text));
  return parsed.filter((url) => url !== null).filter(({ protocol }) => protocol === "https:" || protocol === "http:");
}

function mustBeHarmless(hop: URL, { url, beside }: Place): void {
  const subject = `GET ${describeUrl(url)}`;
  if (leadsInside(hop, beside)) {
    throw new CodedError("ERR_PERMISSION_DENIED", `${subject}: ${hop.host} is an address of an inner network`);
  }
  if (url.protocol === "https:" && hop.protocol !== "https:") {
    throw new CodedError("ERR_PERMISSION_DENIED", `${subject}: redirected from https to http`);
  }
}
