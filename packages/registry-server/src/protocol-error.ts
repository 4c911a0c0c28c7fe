/** Every way in which this server says no, with the status that goes with each. */
const statusOf = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNSUPPORTED: 405,
  PATH_UNKNOWN: 404,
  RANGE_INVALID: 416,
  CHUNK_INVALID: 416,
  TOO_LARGE: 413,
  CHANGED: 412,
  UPSTREAM: 502,
  UNKNOWN: 500,
} as const;

/** Bodies of 4xx answers have only the codes of the distribution specification ("Error Codes"). */
const codeOf: Partial<Record<ProtocolFailure, string>> = {
  PATH_UNKNOWN: "UNSUPPORTED",
  RANGE_INVALID: "SIZE_INVALID",
  CHUNK_INVALID: "BLOB_UPLOAD_INVALID",
  TOO_LARGE: "SIZE_INVALID",
  CHANGED: "DENIED",
  UPSTREAM: "UNKNOWN",
};

export type ProtocolFailure = keyof typeof statusOf;

/** An answer to a client that is not what it asked for. Thrown by handlers, turned into JSON at one place. */
export class ProtocolError extends Error {
  readonly code: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    failure: ProtocolFailure,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    options: ErrorOptions = {},
  ) {
    super(message, options);
    this.name = "ProtocolError";
    this.code = codeOf[failure] ?? failure;
    this.status = statusOf[failure];
    this.headers = headers;
  }

  /** The body of the answer. */
  toJSON(): { errors: readonly [{ code: string; message: string }] } {
    return { errors: [{ code: this.code, message: this.message }] };
  }
}
