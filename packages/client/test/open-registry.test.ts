import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { checkLogin, openRegistry } from "@varve/client";
import type { Registry } from "@varve/client";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { expect, test, vi } from "vitest";
import { tempDirectory } from "./temp.ts";

const own = { username: "own", password: "planted-secret-1" };
const kept = { username: "kept", password: "planted-secret-2" };
const manifest = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });

function basic({ username, password }: typeof own): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** A registry that wants a login, and notes what it was shown. */
interface ClosedRegistry extends AsyncDisposable {
  readonly host: string;
  readonly shown: readonly string[];
  readonly headers: readonly NodeJS.Dict<string | string[]>[];
}

/** @param accepted who is let in; others are asked for a login */
async function closedRegistry(...accepted: readonly (typeof own)[]): Promise<ClosedRegistry> {
  const shown: string[] = [];
  const headers: NodeJS.Dict<string | string[]>[] = [];
  const server = createServer((request, response) => {
    const { authorization } = request.headers;
    headers.push(request.headers);
    if (authorization !== undefined) shown.push(authorization);
    if (!accepted.some((one) => basic(one) === authorization)) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
    } else if (request.url === "/v2/") {
      response.end("{}");
    } else {
      const about = { "content-type": mediaTypes.ociIndex, "docker-content-digest": digestOf(manifest) };
      response.writeHead(200, { ...about, "content-length": manifest.length });
      response.end(request.method === "HEAD" ? undefined : manifest);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    host: `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    shown,
    headers,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Files as docker, podman and containerd have them. */
async function writeAuths(path: string, auths: Readonly<Record<string, typeof own>>): Promise<void> {
  const entries = Object.entries(auths).map(([host, who]) => [host, { auth: basic(who).slice("Basic ".length) }]);
  await writeFile(path, JSON.stringify({ auths: Object.fromEntries(entries) }));
}

async function writeHosts(directory: string, registry: string, text: string): Promise<void> {
  await mkdir(join(directory, registry), { recursive: true });
  await writeFile(join(directory, registry, "hosts.toml"), text);
}

async function resolves(options: Parameters<typeof openRegistry>[0], name: string): Promise<void> {
  const registry: Registry = await openRegistry({ retries: 0, hostsDirectories: [], ...options });
  try {
    await expect(registry.resolve(name)).resolves.toMatchObject({ descriptor: { digest: digestOf(manifest) } });
  } finally {
    await registry.close();
  }
}

test("credentials are read from the file that is named, and nothing is read before it is needed", async () => {
  await using server = await closedRegistry(kept);
  await using temp = await tempDirectory();
  const file = join(temp.path, "auth.json");
  const registry = await openRegistry({ credentialsFile: file, hostsDirectories: [] });
  await writeAuths(file, { [server.host]: kept });
  await expect(registry.resolve(`${server.host}/app`)).resolves.toMatchObject({ name: `${server.host}/app:latest` });
  await registry.close();
  await resolves({ credentialsFile: file }, `${server.host}/team/app`);
});

test("mirrors are read from hosts directories and from registries files, of which the latter come first", async () => {
  await using first = await closedRegistry(own);
  await using second = await closedRegistry(own);
  await using temp = await tempDirectory();
  await writeHosts(
    temp.path,
    "registry.example",
    `[host."http://${first.host}"]\n  capabilities = ["pull", "resolve"]\n`,
  );
  const file = join(temp.path, "registries.conf");
  await writeFile(
    file,
    `[[registry]]\nprefix = "registry.example/team"\nlocation = "registry.example/team"\n` +
      `[[registry.mirror]]\nlocation = "${second.host}/team"\ninsecure = true\n`,
  );
  const options = { credentials: async () => own, hostsDirectories: [temp.path], registriesFiles: [file] };
  await resolves(options, "registry.example/other/app");
  expect([first.shown.length > 0, second.shown.length > 0]).toEqual([true, false]);
  const before = first.shown.length;
  await resolves(options, "registry.example/team/app");
  expect(second.shown.length).toBeGreaterThan(0);
  expect(first.shown.length).toBe(before);
});

// T4, promise 9
test("a login for a registry comes before what the machine has, and its mirrors never see it", async () => {
  await using server = await closedRegistry(own);
  await using mirror = await closedRegistry();
  await using temp = await tempDirectory();
  const file = join(temp.path, "auth.json");
  await writeAuths(file, { [server.host]: kept, [mirror.host]: kept });
  await writeHosts(temp.path, server.host.replace(":", "_") + "_", `[host."http://${mirror.host}"]\n`);
  const options = { credentialsFile: file, hostsDirectories: [temp.path], logins: { [server.host]: own } };
  await resolves(options, `${server.host}/app`);
  expect(new Set(server.shown)).toEqual(new Set([basic(own)]));
  // What is kept for the mirror itself it may see.
  expect(new Set(mirror.shown)).toEqual(new Set([basic(kept)]));
});

test("a helper that hosts.toml names is asked, but not in the place of credentials that were given, nor when those are checked", async () => {
  await using server = await closedRegistry(own, kept);
  await using temp = await tempDirectory();
  const answer = JSON.stringify({ ServerURL: "", Username: kept.username, Secret: kept.password });
  await writeFile(join(temp.path, "docker-credential-test"), `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${temp.path}:${process.env["PATH"]}`);
  try {
    const host = server.host.replace(":", "_") + "_";
    const url = `http://${server.host}`;
    await writeHosts(temp.path, host, `[host."${url}"]\n  credential_helper = "test"\n`);
    const hostsDirectories = [temp.path];
    const credentialsFile = join(temp.path, "none.json");
    const name = `${server.host}/app`;
    await resolves({ hostsDirectories, credentialsFile }, name);
    expect(server.shown.at(-1)).toBe(basic(kept));
    await resolves({ hostsDirectories, credentialsFile, logins: { [server.host]: own } }, name);
    expect(server.shown.at(-1)).toBe(basic(own));
    await resolves({ hostsDirectories, credentials: async () => own }, name);
    expect(server.shown.at(-1)).toBe(basic(own));
    // Else a login would be kept that nobody has tried.
    const wrong = { username: "own", password: "planted-secret-3" };
    const login = checkLogin(server.host, wrong, { hostsDirectories, retries: 0 });
    await expect(login).rejects.toMatchObject({ code: "ERR_UNAUTHENTICATED" });
    expect(server.shown.at(-1)).toBe(basic(wrong));
  } finally {
    vi.unstubAllEnvs();
  }
});

test("a login is checked at the registry itself, as the machine knows it, and not at its mirrors", async () => {
  await using server = await closedRegistry(own);
  await using mirror = await closedRegistry(own);
  await using temp = await tempDirectory();
  const url = `http://${server.host}`;
  const text = `[host."http://${mirror.host}"]\n[host."${url}"]\n[host."${url}".header]\n  x-known = "yes"\n`;
  await writeHosts(temp.path, server.host.replace(":", "_") + "_", text);
  const options = { hostsDirectories: [temp.path], retries: 0 };
  await expect(checkLogin(server.host, own, options)).resolves.toEqual({ scheme: "basic" });
  expect(server.headers.at(-1)).toMatchObject({ "x-known": "yes" });
  await expect(checkLogin(server.host, kept, options)).rejects.toMatchObject({ code: "ERR_UNAUTHENTICATED" });
  expect(mirror.shown).toEqual([]);
});
