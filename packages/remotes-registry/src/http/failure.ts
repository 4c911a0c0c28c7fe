import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import { readAtMost } from "./body.ts";
import { describeStatus } from "./node-http.ts";
import { describeUrl, printable } from "./printable.ts";
import type { Reply } from "./reply.ts";

const maxErrorBody = 64 * 1024;
// A status is told without its message rather than late.
const maxErrorTime = 5000;
const maxMessage = 300;

/**
 * Reads the body of an answer that is not what was asked for, and makes an error of it:
 * method, address, status, and what the registry said.
 */
export async function failureOf(reply: Reply, secrets: readonly string[]): Promise<CodedError> {
  const hide = (text: string): string => reply.secrets.hide(without(text, secrets));
  const told = await toldBy(reply, hide);
  const status = describeStatus(reply.status);
  const wait = reply.status === 429 || reply.status === 503 ? retryNote(reply) : "";
  const text = `${reply.method} ${describeUrl(reply.url)}: ${status}${told === "" ? "" : `: ${told}`}${wait}`;
  return new CodedError(codeFor(reply.status, told), hide(text));
}

function retryNote(reply: Reply): string {
  const value = reply.header("retry-after");
  return value === undefined ? "" : ` (retry after ${printable(value).slice(0, 40)})`;
}

function codeFor(status: number, told: string): ErrorCode {
  // Harbor and Red Hat tell of missing things with other statuses (M14).
  if (status === 404 || status === 410 || /^unknown:.*not found/i.test(told)) return "ERR_NOT_FOUND";
  switch (status) {
    case 401:
      return "ERR_UNAUTHENTICATED";
    case 403:
      return "ERR_PERMISSION_DENIED";
    case 429:
      return "ERR_RATE_LIMITED";
    case 405:
    case 501:
      return "ERR_NOT_IMPLEMENTED";
    case 409:
    case 412:
      return "ERR_FAILED_PRECONDITION";
    case 413:
    case 507:
      return "ERR_RESOURCE_EXHAUSTED";
    case 408:
      return "ERR_NETWORK";
    default:
      return status >= 500 ? "ERR_NETWORK" : "ERR_INVALID_ARGUMENT";
  }
}

/** The registry's own words, in one short line. Only registries are quoted: other hosts may repeat signed addresses. */
async function toldBy(reply: Reply, hide: (text: string) => string): Promise<string> {
  let body: Buffer;
  try {
    body = await readAtMost(reply, maxErrorBody, maxErrorTime);
  } catch (error) {
    // A body that is too long or breaks off must not hide the status.
    if (reply.signal?.aborted === true) throw error;
    return "";
  }
  if (reply.foreign) return "";
  const text = body.toString("utf8");
  const told = messagesIn(text) ?? (isPlainText(reply) ? text : "");
  // In this order: a secret that is cut, or whose blanks are changed, would not be found any more.
  return printable(hide(told)).slice(0, maxMessage).toWellFormed();
}

function isPlainText(reply: Reply): boolean {
  return reply.header("content-type")?.startsWith("text/plain") === true;
}

interface RegistryError {
  readonly code?: unknown;
  readonly message?: unknown;
}

function messagesIn(text: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || !("errors" in parsed) || !Array.isArray(parsed.errors)) {
    return undefined;
  }
  const errors: readonly unknown[] = parsed.errors;
  return errors
    .slice(0, 4)
    .map(describeEntry)
    .filter((entry) => entry !== "")
    .join("; ");
}

function describeEntry(entry: unknown): string {
  if (typeof entry !== "object" || entry === null) return "";
  const { code, message } = entry as RegistryError;
  return [code, message].filter((part) => typeof part === "string" && part !== "").join(": ");
}

function without(text: string, secrets: readonly string[]): string {
  // Shorter ones are no secrets, and would tear words apart.
  return secrets.filter((secret) => secret.length >= 4).reduce((clean, secret) => clean.replaceAll(secret, "…"), text);
}
