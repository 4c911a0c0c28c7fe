import { CodedError } from "@varve/errors";
import { errorCode } from "../http/network-failure.ts";

/** Whether a TLS handshake failed because the other side does not speak TLS, or nobody listens on port 443. */
export function speaksNoTls(error: unknown, root: URL): boolean {
  if (!(error instanceof CodedError) || error.code !== "ERR_NETWORK") return false;
  const { cause } = error;
  const code = errorCode(cause) ?? "";
  if (/^(?:ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST|EPROTO)$/.test(code)) {
    return true;
  }
  if (code === "ECONNREFUSED") return root.port === "";
  if (code === "ECONNRESET") return cause instanceof Error && cause.message.includes("before secure TLS");
  return false;
}
