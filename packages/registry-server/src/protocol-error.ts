/** The codes of the distribution specification that this server uses, with the status that goes with each. */
const statusOf = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNSUPPORTED: 405,
  NOT_FOUND: 404,
  RANGE_INVALID: 416,
  TOO_LARGE: 413,
  UNKNOWN: 500,
} as const;

export type ProtocolCode = keyof typeof statusOf;

/** An answer to a client that is not what it asked for. Thrown by handlers, turned into JSON at one place. */
export class ProtocolError extends Error {
  readonly code: ProtocolCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProtocolCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "ProtocolError";
    this.code = code;
    this.status = statusOf[code];
    this.headers = headers;
  }

  /** The body of the answer (distribution specification, "Error Codes"). */
  toJSON(): { errors: readonly [{ code: ProtocolCode; message: string }] } {
    return { errors: [{ code: this.code, message: this.message }] };
  }
}
