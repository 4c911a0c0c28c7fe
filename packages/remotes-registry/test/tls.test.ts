import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send } from "./fake-registry.ts";
import { sendManifest, target, testResolver } from "./fixtures.ts";

/** A certificate for localhost that nobody has signed; none where there is no openssl. */
function makeCertificate(): { readonly key: string; readonly cert: string } | undefined {
  const directory = mkdtempSync(join(tmpdir(), "varve-tls-"));
  try {
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    execFileSync("openssl", [...args, "-subj", "/CN=localhost", "-addext", names, "-keyout", key, "-out", cert], {
      stdio: "ignore",
    });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } catch {
    return undefined;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const tls = makeCertificate();
const trusted = tls === undefined ? [] : [tls.cert];

// N4, N11, D8, C-RES.3
describe.skipIf(tls === undefined)("https (needs openssl to make a certificate)", () => {
  test("is spoken to a loopback host that knows it", async () => {
    await using registry = await fakeRegistry(sendManifest, { tls, name: "localhost" });
    await using resolver = testResolver({ plainHttp: false, certificateAuthorities: trusted });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
  });

  test("with a certificate that is not trusted is an error, and http is not tried", async () => {
    await using registry = await fakeRegistry(sendManifest, { tls, name: "localhost" });
    await using resolver = testResolver({ plainHttp: false });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringMatching(/^registry localhost:\d+: .*self.signed certificate/),
    });
    expect(registry.seen).toEqual([]);
  });

  // D2
  test("is not left by a redirect to http", async () => {
    await using plain = await fakeRegistry(sendManifest);
    await using registry = await fakeRegistry((_seen, response) => send(response, 307, { location: plain.url }), {
      tls,
      name: "localhost",
    });
    await using resolver = testResolver({ plainHttp: false, certificateAuthorities: trusted });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: expect.stringContaining(`redirected from https to ${plain.url}`),
    });
    expect(plain.seen).toEqual([]);
    await using allowed = testResolver({
      plainHttp: (host) => host === plain.host,
      certificateAuthorities: trusted,
    });
    expect((await allowed.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
  });

  // A12
  test("is not left for a token server that speaks http", async () => {
    await using registry = await fakeRegistry(
      (_seen, response) => send(response, 401, { "www-authenticate": 'Bearer realm="http://localhost:1/token"' }),
      { tls, name: "localhost" },
    );
    await using resolver = testResolver({ plainHttp: false, certificateAuthorities: trusted });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: expect.stringContaining("not https"),
    });
  });
});

// N4
test("a loopback host that does not speak TLS is asked by http, also by requests that begin together", async () => {
  await using registry = await fakeRegistry(sendManifest);
  await using resolver = testResolver({ plainHttp: false });
  const resolved = await Promise.all([1, 2, 3].map(() => resolver.resolve(`${registry.host}/lib/app:v1`)));
  expect(resolved.map(({ descriptor }) => descriptor)).toEqual([target, target, target]);
  expect(registry.seen).toHaveLength(3);
});

// N4
test("plain http may be asked for host by host", async () => {
  await using registry = await fakeRegistry(sendManifest);
  const asked: string[] = [];
  await using resolver = testResolver({
    plainHttp: (host) => {
      asked.push(host);
      return true;
    },
  });
  await resolver.resolve(`${registry.host}/lib/app:v1`);
  expect(asked[0]).toBe(registry.host);
});
