import { CodedError, hasCode } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import { ProxyFailure } from "./dial.ts";
import { describeUrl, printable } from "./printable.ts";
import { ProxyRefusal } from "./tunnel.ts";

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
  // undici's own, as for a change of protocol that nobody asked for.
  ERR_ASSERTION: "its answer is not HTTP",
};

/** What was asked when it failed. */
export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly idleTimeout: number;
}

/** The error for an exchange that got no answer. Whatever is not of the network passes as it is. */
export function networkFailure(error: unknown, { method, url, idleTimeout }: Asked): unknown {
  const code = errorCode(error);
  if (code === undefined || hasCode(error, "ERR_INTERNAL")) return error;
  const subject = `registry ${url.host}`;
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") {
    const text = `${method} ${describeUrl(url)}: no data for ${idleTimeout / 1000} s`;
    return new CodedError("ERR_DEADLINE_EXCEEDED", text, { cause: error });
  }
  if (error instanceof ProxyFailure) return proxyFailure(error, url);
  if (code === "UND_ERR_DESTROYED" || code === "UND_ERR_CLOSED") {
    return new CodedError("ERR_ABORTED", `${subject}: closed meanwhile`, { cause: error });
  }
  if (code === "UND_ERR_INVALID_ARG") {
    const text = `${method} ${describeUrl(url)}: ${messageOf(error)}`;
    return new CodedError("ERR_INVALID_ARGUMENT", text, { cause: error });
  }
  const what = wordsFor(error);
  return what === undefined ? error : new CodedError("ERR_NETWORK", `${subject}: ${what}`, { cause: error });
}

/** The error for a proxy that answers with a status instead of connecting us. */
export function proxyStatusFailure(url: URL, proxy: string, status: number, cause?: unknown): CodedError {
  const text = `registry ${url.host}: proxy ${proxy}: ${proxyWords[status] ?? `it answers ${status}`}`;
  return new CodedError(proxyCodes[status] ?? "ERR_NETWORK", text, { cause });
}

const proxyWords: Readonly<Record<number, string>> = {
  // tinyproxy's for a wrong password.
  401: "it wants a user and a password",
  403: "it does not allow this",
  407: "it wants a user and a password",
};

const proxyCodes: Readonly<Record<number, ErrorCode>> = {
  401: "ERR_UNAUTHENTICATED",
  403: "ERR_PERMISSION_DENIED",
  407: "ERR_UNAUTHENTICATED",
};

function proxyFailure(failure: ProxyFailure, url: URL): CodedError {
  const { cause, host } = failure;
  if (cause instanceof ProxyRefusal) return proxyStatusFailure(url, host, cause.status, cause);
  if (cause instanceof CodedError) return cause;
  const text = `registry ${url.host}: proxy ${host}: ${wordsFor(cause) ?? messageOf(cause)}`;
  return new CodedError("ERR_NETWORK", text, { cause });
}

function wordsFor(error: unknown): string | undefined {
  const code = errorCode(error) ?? "";
  return unreachable[code] ?? (isNetworkCode(code) ? messageOf(error) : undefined);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? printable(error.message).slice(0, maxMessage) : "failed";
}

// undici's errors, the parser's (HPE_), the system's for sockets, and OpenSSL's.
function isNetworkCode(code: string): boolean {
  return /^(?:UND_ERR_|HPE_|ERR_SSL_|ERR_TLS_|ERR_HTTP2_|EPIPE$|EPROTO$|EAI_|ENET|EHOST|ECONN|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH$|ERR_OSSL_)/.test(
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

/** Whether a connection broke before there was an answer, as one does that the other side was just closing. */
export function wasClosed(error: unknown): boolean {
  if (!hasCode(error, "ERR_NETWORK")) return false;
  return /^(?:UND_ERR_SOCKET|ECONNRESET|EPIPE|ERR_HTTP2_.*)$/.test(errorCode(error.cause) ?? "");
}

const beyondRedirects = new WeakSet<object>();
const deadTarget = /^(?:ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH)$/;

/** Remembers of a failure that a redirect had led there: the registry may name another address the next time (N06). */
export function noteRedirected(error: unknown): void {
  if (typeof error === "object" && error !== null) beyondRedirects.add(error);
}

/** Whether a redirect led to an address where nobody is. */
export function isDeadRedirect(error: CodedError): boolean {
  return beyondRedirects.has(error) && deadTarget.test(errorCode(error.cause) ?? "");
}
