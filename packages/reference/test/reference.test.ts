import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { familiarName, formatReference, isDockerHub, parseReference, registryHost } from "@varve/reference";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

const digest = digestOf("manifest");
const long = "a".repeat(128);

describe("reading", () => {
  test.each([
    ["nginx", "docker.io/library/nginx:latest"],
    ["nginx:1.27", "docker.io/library/nginx:1.27"],
    ["library/nginx", "docker.io/library/nginx:latest"],
    ["docker.io/nginx", "docker.io/library/nginx:latest"],
    ["docker.io/library/nginx:latest", "docker.io/library/nginx:latest"],
    ["grafana/grafana", "docker.io/grafana/grafana:latest"],
    ["a/b/c/d", "docker.io/a/b/c/d:latest"],
    // N2
    ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
    ["registry-1.docker.io/grafana/grafana:1", "docker.io/grafana/grafana:1"],
    ["Docker.io/nginx", "docker.io/library/nginx:latest"],
    // A single word is never a host.
    ["localhost", "docker.io/library/localhost:latest"],
    ["localhost:5000", "docker.io/library/localhost:5000"],
    ["example.com", "docker.io/library/example.com:latest"],
    ["localhost/x", "localhost/x:latest"],
    ["localhost:5000/x", "localhost:5000/x:latest"],
    ["registry:5000/x", "registry:5000/x:latest"],
    ["quay.io/team/app:v1", "quay.io/team/app:v1"],
    ["Registry/x", "Registry/x:latest"],
    ["127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1"],
    // N5
    ["[::1]:5000/x", "[::1]:5000/x:latest"],
    ["[::1]/x:1", "[::1]/x:1"],
    ["[fd00:1:2::3]:5000/repo/x@" + digest, "[fd00:1:2::3]:5000/repo/x@" + digest],
    ["a.b/c__d-e---f_g.h", "a.b/c__d-e---f_g.h:latest"],
    [`x:${long}`, `docker.io/library/x:${long}`],
    ["x:_A.b-C", "docker.io/library/x:_A.b-C"],
    // N3
    [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
    [`nginx:1@${digest}`, `docker.io/library/nginx:1@${digest}`],
    [`localhost:5000/x:1@${digestOf("", "sha512")}`, `localhost:5000/x:1@${digestOf("", "sha512")}`],
    [`${"a".repeat(63)}/b`, `docker.io/${"a".repeat(63)}/b:latest`],
  ])("%s is %s", (text, full) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(full);
    expect(reference.toString()).toBe(full);
    expect(parseReference(full)).toEqual(reference);
  });

  test("gives the parts as data", () => {
    expect({ ...parseReference("[::1]:5000/a/b") }).toStrictEqual({ domain: "[::1]:5000", path: "a/b", tag: "latest" });
    expect({ ...parseReference(`nginx@${digest}`) }).toStrictEqual({
      domain: "docker.io",
      path: "library/nginx",
      digest,
    });
    expect({ ...parseReference(`nginx:1@${digest}`) }).toStrictEqual({
      domain: "docker.io",
      path: "library/nginx",
      tag: "1",
      digest,
    });
  });

  test.each([
    ["", "empty"],
    ["https://quay.io/x/y", 'leave out "https://"'],
    ["docker://nginx", 'leave out "docker://"'],
    ["nginx latest", "no spaces"],
    ["nginx\n", "no spaces"],
    ["a".repeat(64), "an id, not a name"],
    [digest, "a digest alone is not a name"],
    ["Nginx", "must be lower case"],
    ["team/App", "must be lower case"],
    ["quay.io/Team/app", "must be lower case"],
    ["nginx:", 'tag ""'],
    ["nginx:-a", 'tag "-a"'],
    ["nginx:a/b", '"nginx:a" is not a host'],
    ["a/b:c:d", 'tag "c:d"'],
    [`x:${"a".repeat(129)}`, "longer than 128"],
    ["nginx@", "not of the form algorithm:hex"],
    ["nginx@sha256", "not of the form algorithm:hex"],
    [`nginx@${digest}@${digest}`, "not of the form algorithm:hex"],
    [`nginx@${digest.toUpperCase()}`, "not of the form algorithm:hex"],
    [`@${digest}`, "repository"],
    [":tag", "repository"],
    ["/x", "repository"],
    ["a//b", "repository"],
    ["x/", "repository"],
    ["a.b/", "repository"],
    ["-a", "repository"],
    ["a-", "repository"],
    ["a..b", "repository"],
    ["a___b", "repository"],
    ["a.b/../c", "repository"],
    ["../etc", '".." is not a host'],
    ["./x", '"." is not a host'],
    ["::1/x", '"::1" is not a host'],
    ["[::1/x", "is not a host"],
    ["[:::1]/x", "is not a host"],
    ["[::g]/x", "is not a host"],
    ["a_b.c/x", '"a_b.c" is not a host'],
    ["-a.b/x", "is not a host"],
    ["user:pass@host.io/x", "not of the form algorithm:hex"],
    ["host:port/x", "is not a host"],
    ["host:0/x", "no port 0"],
    ["host:65536/x", "no port 65536"],
    ["näme", "repository"],
    ["%2e%2e/x", "repository"],
    [`a.b/${"c".repeat(252)}`, "longer than 255"],
  ])("refuses %j", (text, why) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining(why) }),
    );
  });

  // N1
  test("takes 255 characters of host and repository, and no more", () => {
    const most = `a.b/${"c".repeat(251)}`;
    expect(parseReference(most).path).toHaveLength(251);
    expect(parseReference(`${most}:${long}@${digestOf("", "sha512")}`).tag).toBe(long);
    expect(() => parseReference(`${most}c`)).toThrow(/longer than 255/);
    // Docker Hub's own prefix counts.
    expect(() => parseReference("c".repeat(240))).toThrow(/longer than 255/);
  });

  // N3: before any request
  test("says that a digest's algorithm is unknown", () => {
    expect(() => parseReference(`nginx@md5:${"a".repeat(32)}`)).toThrow(
      expect.objectContaining({ code: "ERR_NOT_IMPLEMENTED", message: expect.stringContaining("algorithm") }),
    );
  });

  test("refuses a very long text in few words", () => {
    expect(() => parseReference("x".repeat(10_000))).toThrow(/^.{1,200}: 10000 characters, too long for a name$/);
  });

  test("ends quickly on hostile text", () => {
    for (const text of ["a-".repeat(300), "a.".repeat(120) + "/x", "a_".repeat(300), "[" + ":".repeat(600)]) {
      expect(() => parseReference(text)).toThrow(CodedError);
    }
  });
});

describe("the short form", () => {
  test.each([
    ["nginx", "nginx:latest"],
    ["docker.io/library/nginx:1", "nginx:1"],
    [`nginx@${digest}`, `nginx@${digest}`],
    ["grafana/grafana", "grafana/grafana:latest"],
    ["library/a/b", "library/a/b:latest"],
    // Alone these would mean something else.
    ["docker.io/a.b/c", "docker.io/a.b/c:latest"],
    ["docker.io/localhost/c", "docker.io/localhost/c:latest"],
    [`docker.io/library/${digest}`, `library/${digest}`],
    ["localhost:5000/nginx", "localhost:5000/nginx:latest"],
  ])("of %s is %s", (text, short) => {
    expect(familiarName(parseReference(text))).toBe(short);
    expect(parseReference(short)).toEqual(parseReference(text));
  });
});

describe("the host to ask", () => {
  // N2
  test("is another than the name says for Docker Hub, under each of its names", () => {
    for (const domain of ["docker.io", "index.docker.io", "registry-1.docker.io"]) {
      expect(isDockerHub({ domain })).toBe(true);
      expect(registryHost({ domain })).toBe("registry-1.docker.io");
    }
  });

  test.each(["quay.io", "localhost:5000", "[::1]:5000", "docker.io.example.com", "docker.io:5000"])(
    "is %s itself",
    (domain) => {
      expect(isDockerHub({ domain })).toBe(false);
      expect(registryHost({ domain })).toBe(domain);
    },
  );
});

describe("for all names", () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
  const host = fc.oneof(
    fc.constantFrom("localhost", "docker.io", "index.docker.io", "[::1]", "127.0.0.1"),
    fc.domain().filter((name) => name.length < 100),
  );
  const names = fc
    .record({
      host: fc.option(host),
      port: fc.option(fc.integer({ min: 1, max: 65_535 })),
      parts: fc.array(part, { minLength: 1, maxLength: 4 }),
      tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/)),
      digest: fc.option(fc.string().map((text) => digestOf(text))),
    })
    .map((parts) => {
      const port = parts.port === null ? "" : `:${parts.port}`;
      // Without a host the first part must not look like one.
      const prefix = parts.host === null ? "x/" : `${parts.host}${port}/`;
      const tag = parts.tag === null ? "" : `:${parts.tag}`;
      return prefix + parts.parts.join("/") + tag + (parts.digest === null ? "" : `@${parts.digest}`);
    });

  test("printing and reading give the same again, in both forms", () => {
    fc.assert(
      fc.property(names, (text) => {
        const reference = parseReference(text);
        expect(parseReference(formatReference(reference))).toEqual(reference);
        expect(parseReference(familiarName(reference))).toEqual(reference);
      }),
    );
  });

  test("whatever is read can be read again, and nothing else is thrown than our errors", () => {
    const pieces = fc.constantFrom(
      "a",
      "B",
      "0",
      ".",
      "..",
      "-",
      "_",
      "/",
      ":",
      "@",
      "[",
      "]",
      "::1",
      "localhost",
      digest,
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 12 }).map((list) => list.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const first = printed(text);
        expect(first instanceof CodedError ? "" : printed(first)).toBe(first instanceof CodedError ? "" : first);
      }),
      { numRuns: 2000 },
    );
  });
});

function printed(text: string): string | CodedError {
  try {
    return formatReference(parseReference(text));
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
}
