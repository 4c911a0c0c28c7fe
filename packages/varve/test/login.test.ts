import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { varve } from "./command.ts";
import { serve } from "./server.ts";
import type { TestServer } from "./server.ts";
import { tempDirectory } from "./temp.ts";

const password = "a:planted-secret";

/** Lets only one user in. */
function closedRegistry(): Promise<TestServer> {
  const basic = `Basic ${Buffer.from(`me:${password}`).toString("base64")}`;
  return serve((request, response) => {
    if (request.headers.authorization === basic) response.writeHead(200).end("{}");
    else response.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
  });
}

test("login asks the registry, keeps what it accepts where docker would, and logout forgets it", async () => {
  await using registry = await closedRegistry();
  await using temp = await tempDirectory();
  const config = join(temp.path, "config.json");
  await writeFile(config, '{"psFormat":"table"}');
  const env = { DOCKER_CONFIG: temp.path };
  const args = ["login", registry.host, "-u", "me", "--password-stdin"];
  const outcome = await varve(args, { env, input: Buffer.from(`${password}\n`) });
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  expect(outcome.stdout).toBe(`logged in to ${registry.host}, kept in ${config}\n`);
  const auth = Buffer.from(`me:${password}`).toString("base64");
  expect(JSON.parse(await readFile(config, "utf8"))).toEqual({
    psFormat: "table",
    auths: { [registry.host]: { auth } },
  });
  expect((await stat(config)).mode & 0o077).toBe(0);
  // A14: what is kept is used, and told nowhere.
  const traced = await varve(["digest", `${registry.host}/app`, "--http-trace"], { env });
  expect(traced.stderr).toMatch(/^< (?!401)/m);
  expect(traced.stderr).not.toMatch(/planted-secret/);
  expect(traced.stderr).not.toContain(auth);

  expect(await varve(["logout", registry.host], { env })).toMatchObject({ code: 0 });
  expect(JSON.parse(await readFile(config, "utf8"))).not.toHaveProperty(["auths", registry.host]);
  expect((await varve(["logout", registry.host], { env })).stdout).toBe(`${registry.host}: nothing was kept\n`);
});

test("a password that the registry refuses is not kept, and not repeated", async () => {
  await using registry = await closedRegistry();
  await using temp = await tempDirectory();
  const env = { DOCKER_CONFIG: temp.path };
  const args = ["login", registry.host, "-u", "me", "--password-stdin"];
  const outcome = await varve(args, { env, input: Buffer.from("another-planted-secret") });
  expect(outcome.code).toBe(4);
  expect(outcome.stderr).not.toContain("another-planted-secret");
  await expect(readFile(join(temp.path, "config.json"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("with --authfile they go to that file, and other commands read them from there", async () => {
  await using registry = await closedRegistry();
  await using temp = await tempDirectory();
  const file = join(temp.path, "auth.json");
  const args = ["login", "--authfile", file, `http://${registry.host}/`, "-u", "me", "--password-stdin"];
  expect(await varve(args, { input: Buffer.from(password) })).toMatchObject({ code: 0 });
  const anonymous = await varve(["digest", `${registry.host}/app`]);
  expect(anonymous.code).toBe(4);
  const known = await varve(["digest", `${registry.host}/app`, "--authfile", file]);
  expect(known.code).not.toBe(4);
});

test("login wants to know who, and where", async () => {
  const missing = await varve(["login", "127.0.0.1:1", "--password-stdin"], { input: Buffer.from("x") });
  expect(missing).toMatchObject({ code: 2, stderr: "varve: login: --password-stdin: say --username\n" });
  expect(await varve(["login", "no host", "-u", "me", "--password-stdin"], { input: Buffer.from("x") })).toMatchObject({
    code: 2,
  });
});
