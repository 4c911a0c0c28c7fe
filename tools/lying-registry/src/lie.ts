import {
  array,
  constant,
  constantFrom,
  double,
  integer,
  nat,
  oneof,
  record,
  string,
  tuple,
  uint8Array,
} from "fast-check";
import type { Arbitrary } from "fast-check";
import type { RawAnswer } from "./raw-server.ts";

/** What lies are made of. */
export interface Facts {
  /** The right answer's body. */
  readonly body: Uint8Array;
  readonly mediaType: string;
  readonly digest: string;
  /** Another server, where nothing of ours belongs: `http://127.0.0.1:1234`. */
  readonly elsewhere: string;
}

type Header = readonly [name: string, value: string];

const crlf = "\r\n";

/** An answer that is wrong in some way, or in several. */
export function lie(facts: Facts): Arbitrary<RawAnswer> {
  const whole = record({
    status: statuses,
    headers: headers(facts),
    body: bodies(facts),
    frame: frames,
    version: versions,
  }).map(({ body, frame, headers: chosen, status, version }) => {
    const { framing, framed } = frame(body);
    const head = [
      `${version} ${status} Whatever`,
      ...[...chosen, ...framing].map(([name, value]) => `${name}: ${value}`),
    ];
    return Buffer.concat([Buffer.from(head.join(crlf) + crlf + crlf, "latin1"), framed]);
  });
  return record({
    before: oneof({ weight: 8, arbitrary: constant("") }, { weight: 1, arbitrary: preludes }),
    bytes: oneof({ weight: 12, arbitrary: whole }, { weight: 1, arbitrary: noHttp }),
    cut: oneof(
      { weight: 3, arbitrary: constant(1) },
      { weight: 1, arbitrary: double({ min: 0, max: 1, noNaN: true }) },
    ),
    steps: integer({ min: 1, max: 5 }),
    end: constantFrom<RawAnswer["end"]>("keep", "keep", "close", "reset", "hang"),
  }).map(({ before, bytes, cut, end, steps }) => {
    const all = Buffer.concat([Buffer.from(before, "latin1"), bytes]);
    const sent = all.subarray(0, Math.round(all.length * cut));
    return { pieces: inPieces(sent, steps), end };
  });
}

const versions = constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "ICY");
const statuses = oneof(
  constantFrom(200, 200, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 401, 403, 404, 405),
  constantFrom(408, 409, 412, 413, 416, 429, 500, 502, 503, 504, 507, 100, 103, 199, 299, 399, 499, 599, 999),
);
const preludes = constantFrom(
  `HTTP/1.1 100 Continue${crlf}${crlf}`.repeat(300),
  `HTTP/1.1 103 Early Hints${crlf}link: </x>${crlf}${crlf}`,
  crlf.repeat(50),
  "\0",
);
const noHttp = oneof(
  uint8Array({ maxLength: 300 }),
  constantFrom("hello", "SSH-2.0-x\r\n", "HTTP/1.1", "\u0016\u0003\u0001\u0002\0").map((line) =>
    Buffer.from(line, "latin1"),
  ),
);

function headers({ digest, elsewhere, mediaType }: Facts): Arbitrary<readonly Header[]> {
  const addresses = [
    elsewhere,
    `${elsewhere}/v2/x?sig=1`,
    `${elsewhere}#x`,
    "/v2/",
    "//",
    "",
    "http://",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]:1/x",
    "http://user:pass@127.0.0.1:1/",
    "\u0001",
  ];
  // Where a registry says that logins are made, logins are made: that is no lie that a client could see through.
  const realms = addresses.filter((address) => !address.startsWith(elsewhere));
  const any = oneof(
    own("content-type", mediaType, "text/html", "", ";", `${mediaType}; charset=x`, "a".repeat(5000)),
    own("docker-content-digest", digest, digest.replace(/.$/, "0"), "sha256:", "md5:00", "x", "sha256:..%2f..", "é"),
    own(
      "content-range",
      "bytes 0-1/2",
      "bytes 5-1/2",
      "bytes */0",
      "bytes 0-99999999999999999999/*",
      "x",
      "bytes -1-2/3",
    ),
    own("location", ...addresses),
    own(
      "link",
      ...addresses.map((address) => `<${address}>; rel="next"`),
      "<",
      "<>; rel=next",
      "</v2/lib/app/tags/list>; rel=next",
    ),
    own("www-authenticate", ...realms.map((address) => `Bearer realm="${address}",service="s",scope="x:y:z"`)),
    own(
      "www-authenticate",
      "Basic",
      'Basic realm="',
      "Bearer",
      `Bearer realm="${"x".repeat(5000)}"`,
      "Negotiate, Digest q=1, Basic",
      ",",
    ),
    own("retry-after", "0", "1", "-1", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "soon"),
    own("content-encoding", "gzip", "zstd", "deflate, gzip", "br", "x", ",".repeat(100), "gzip,".repeat(20)),
    own("range", "0-", "0-18446744073709551615", "5-1", "bytes=0-1", "x"),
    own("oci-subject", digest, "x"),
    own("oci-chunk-min-length", "0", "-1", "99999999999999", "x"),
    own("warning", '299 - "x"', `299 - "${"w".repeat(6000)}"`, '299 - "\\u001b[2J"', "299"),
    own("ratelimit-remaining", "1;w=2", "-1", "x", "9".repeat(400)),
    own("set-cookie", "a=b; domain=127.0.0.1"),
    own("connection", "close", "upgrade", "x"),
    own("trailer", "content-length"),
    tuple(constantFrom("x", "content-length", "etag", "x y", ":", ""), string({ maxLength: 20 })),
  );
  return oneof(
    { weight: 20, arbitrary: array(any, { maxLength: 6 }) },
    { weight: 1, arbitrary: constant(Array.from({ length: 3000 }, (_, index): Header => [`x-${index}`, "y"])) },
  );
}

function bodies({ body, digest }: Facts): Arbitrary<Buffer> {
  const right = Buffer.from(body);
  return oneof(
    constant(right),
    nat(right.length).map((length) => right.subarray(0, length)),
    uint8Array({ maxLength: 50 }).map((more) => Buffer.concat([right, more])),
    nat(Math.max(0, right.length - 1)).map((at) =>
      Buffer.from(right.map((byte, index) => (index === at ? byte ^ 1 : byte))),
    ),
    uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
    constantFrom(
      text(""),
      text("{}"),
      text("null"),
      text('{"token":1}'),
      text('{"token":"t","expires_in":-1}'),
      text('{"token":"t\\r\\nx: y"}'),
      text('{"access_token":"t","expires_in":1e400,"refresh_token":"r"}'),
      text('{"tags":null}'),
      text('{"tags":[1,"","../x","a","a"]}'),
      text('{"tags":{}}'),
      text('{"manifests":[{"digest":"x"},null,{}]}'),
      text(
        `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"${digest}","size":-1}]}`,
      ),
      text('{"errors":[{"code":"DENIED","message":"\\u001b[2J"}]}'),
      text('{"errors":{}}'),
      text("[".repeat(100_000)),
      text("<html>"),
      Buffer.alloc(3_000_000, 0x20),
    ),
  );
}

interface Framed {
  readonly framing: readonly Header[];
  readonly framed: Buffer;
}

/** How the end of a body is told: rightly most of the time. */
const frames: Arbitrary<(body: Buffer) => Framed> = oneof(
  { weight: 6, arbitrary: constant((body: Buffer) => withLength(body, String(body.length))) },
  {
    weight: 3,
    arbitrary: constantFrom("0", "1", "-1", "+5", "0x10", "1e3", "99999999999999999999", "5, 5", "").map(
      (length) => (body: Buffer) => withLength(body, length),
    ),
  },
  { weight: 2, arbitrary: constant((body: Buffer) => ({ framing: [], framed: body })) },
  {
    weight: 3,
    arbitrary: constantFrom(
      "",
      "g\r\n",
      "-1\r\n",
      "ffffffffffffffff\r\n",
      "5;ext=\r\n",
      "5\n",
      "0\r\nx: y\r\n\r\nmore",
    ).map((garbage) => (body: Buffer) => chunked(body, garbage)),
  },
);

function withLength(body: Buffer, length: string): Framed {
  return { framing: [["content-length", length]], framed: body };
}

function chunked(body: Buffer, garbage: string): Framed {
  const half = body.length >> 1;
  const chunk = (part: Buffer): Buffer =>
    part.length === 0 ? part : Buffer.concat([Buffer.from(part.length.toString(16) + crlf), part, Buffer.from(crlf)]);
  const parts = [
    chunk(body.subarray(0, half)),
    Buffer.from(garbage),
    chunk(body.subarray(half)),
    Buffer.from(`0${crlf}${crlf}`),
  ];
  return { framing: [["transfer-encoding", "chunked"]], framed: Buffer.concat(parts) };
}

function inPieces(bytes: Buffer, count: number): Buffer[] {
  const size = Math.max(1, Math.ceil(bytes.length / count));
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

function own(name: string, ...values: readonly string[]): Arbitrary<Header> {
  return constantFrom(...values).map((value) => [name, value] as const);
}

function text(value: string): Buffer {
  return Buffer.from(value, "utf8");
}
