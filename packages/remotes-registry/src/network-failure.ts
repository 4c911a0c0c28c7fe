import { CodedError, hasCode } from "@varve/errors";
import { describeUrl, printable } from "./printable.ts";

const maxMessage = 300;

const unreachable: Readonly<Record<string, string>> = {
  ENOTFOUND: "host not found",
  EAI_AGAIN: "host not found: the name service does not answer",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ETIMEDOUT: "connecting took too long",
  UND_ERR_CONNECT_TIMEOUT: "connecting took too long",
  UND_ERR_SOCKET: "connection closed by the other side",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak https",
};

/** The error for an exchange that got no answer. Whatever is not of the network passes as it is. */
export function networkFailure(error: unknown, method: string, url: URL, idleTimeout: number): unknown {
  const code = errorCode(error);
  if (code === undefined || hasCode(error, "ERR_INTERNAL")) return error;
  const subject = `registry ${url.host}`;
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") {
    const text = `${method} ${describeUrl(url)}: no data for ${idleTimeout / 1000} s`;
    return new CodedError("ERR_DEADLINE_EXCEEDED", text, { cause: error });
  }
  const known = unreachable[code];
  if (known !== undefined) return new CodedError("ERR_NETWORK", `${subject}: ${known}`, { cause: error });
  if (!isNetworkCode(code)) return error;
  const what = error instanceof Error ? printable(error.message).slice(0, maxMessage) : code;
  return new CodedError("ERR_NETWORK", `${subject}: ${what}`, { cause: error });
}

// undici's errors, the parser's (HPE_), the system's for sockets, and OpenSSL's.
function isNetworkCode(code: string): boolean {
  return /^(?:UND_ERR_|HPE_|ERR_SSL_|ERR_TLS_|EPIPE$|EPROTO$|EAI_|ENET|EHOST|ECONN|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(
    code,
  );
}

/** The code of a failure, looking into the attempts at several addresses. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  // What is not HTTP at all gets no code from undici's parser.
  if (error.name === "HTTPParserError") return "HPE_INVALID";
  return error instanceof AggregateError ? errorCode(error.errors[0]) : undefined;
}
