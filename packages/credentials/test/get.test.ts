import { symlink } from "node:fs/promises";
import { execFile } from "node:child_process";
import { inspect, promisify } from "node:util";
import { openCredentials } from "@varve/credentials";
import { describe, expect, test } from "vitest";
import { entry, makeHome, password } from "./home.ts";

const config = ".docker/config.json";

async function userFor(content: unknown, host: string, repository?: string): Promise<unknown> {
  await using home = await makeHome();
  await home.write(config, content);
  const found = await home.open().get(host, repository);
  return found !== undefined && "username" in found ? found.username : found;
}

function contentFor(name: string): unknown {
  const auths = { "registry.example": entry(name) };
  return name === ".dockercfg" ? auths : { auths };
}

describe("an entry of auths", () => {
  // cli.md 2.5: a password may contain colons
  test("is a user and a password, and says where it was found", async () => {
    await using home = await makeHome();
    const file = await home.write(config, { auths: { "registry.example": entry("ann") } });
    expect(await home.open().get("registry.example")).toEqual({ username: "ann", password, source: file });
    expect(await home.open().get("other.example")).toBeUndefined();
  });

  test.each([
    [{ identitytoken: "planted-secret-id", auth: entry("ann").auth }, { identityToken: "planted-secret-id" }],
    [{ registrytoken: "planted-secret-reg" }, { registryToken: "planted-secret-reg" }],
    [
      { username: "ann", password: "planted-secret-2" },
      { username: "ann", password: "planted-secret-2" },
    ],
    // Old versions of docker fill passwords up.
    [entry("ann", "planted-secret-3\0\0"), { username: "ann", password: "planted-secret-3" }],
    [entry("<token>", "planted-secret-id"), { identityToken: "planted-secret-id" }],
    [{ auth: entry("ann").auth.replace(/=+$/, "") }, { username: "ann", password }],
    [{ auth: "" }, undefined],
    [{}, undefined],
    [null, undefined],
    [{ email: "ann@example.com" }, undefined],
  ])("%# has the form that docker gives it", async (value, expected) => {
    await using home = await makeHome();
    const source = await home.write(config, { auths: { "registry.example": value } });
    expect(await home.open().get("registry.example")).toEqual(expected && { ...expected, source });
  });

  // cli.md 2.5: forms of keys
  test.each([
    ["registry.example", "registry.example"],
    ["https://registry.example", "registry.example"],
    ["http://registry.example/v1/", "registry.example"],
    ["https://registry.example/v2/", "registry.example"],
    ["registry.example/v1/", "registry.example"],
    ["registry.example/", "registry.example"],
    ["Registry.Example", "registry.example"],
    ["registry.example:5000", "registry.example:5000"],
    ["https://registry.example:5000/v1/", "registry.example:5000"],
    ["https://index.docker.io/v1/", "docker.io"],
    ["index.docker.io/v1", "docker.io"],
    ["docker.io", "docker.io"],
    // N2
    ["https://registry-1.docker.io", "docker.io"],
    ["docker.io", "index.docker.io"],
  ])("with the key %s is for the host %s", async (key, host) => {
    expect(await userFor({ auths: { [key]: entry("ann") } }, host)).toBe("ann");
    expect(await userFor({ auths: { [key]: entry("ann") } }, host, "team/app")).toBe("ann");
  });

  test.each([
    ["registry.example", "registry.example:5000"],
    ["registry.example:5000", "registry.example"],
    ["registry.example", "a.registry.example"],
    ["registry.example/team", "registry.example"],
    ["docker.io.example", "docker.io"],
    ["__proto__", "constructor"],
  ])("with the key %s is not for %s", async (key, host) => {
    expect(await userFor(`{"auths":{${JSON.stringify(key)}:${JSON.stringify(entry("ann"))}}}`, host)).toBeUndefined();
  });

  // A15: the longest key wins
  test.each([
    ["team/app/image", "image"],
    ["team/app/other", "app"],
    ["team/application", "team"],
    ["team", "team"],
    ["teams/app", "host"],
    [undefined, "host"],
  ])("is chosen by the longest part of %s", async (repository, user) => {
    const auths = {
      "registry.example": entry("host"),
      "registry.example/team": entry("team"),
      "registry.example/team/app/image": entry("image"),
      "registry.example/team/app": entry("app"),
    };
    expect(await userFor({ auths }, "registry.example", repository)).toBe(user);
  });

  test("for a part of Docker Hub counts under each of its names", async () => {
    const auths = { "https://index.docker.io/v1/": entry("hub"), "docker.io/team": entry("team") };
    expect(await userFor({ auths }, "docker.io", "team/app")).toBe("team");
    expect(await userFor({ auths }, "docker.io", "library/app")).toBe("hub");
  });

  test("that is empty gives way to another form of its key", async () => {
    const auths = { "registry.example": {}, "https://registry.example/v1/": entry("ann") };
    expect(await userFor({ auths }, "registry.example")).toBe("ann");
  });

  test.each([
    [{ auth: "%%planted-secret%%" }, "auth: not user:password in base64"],
    [{ auth: Buffer.from("planted-secret").toString("base64") }, "auth: not user:password in base64"],
    [{ auth: "YW5uOng=!" }, "auth: not user:password in base64"],
    [{ auth: 7 }, "auth: not a text"],
    [{ identitytoken: ["planted-secret"] }, "identitytoken: not a text"],
    ["planted-secret", "not an object"],
  ])("%# that is malformed is an error that does not repeat it", async (value, why) => {
    await using home = await makeHome();
    const file = await home.write(config, { auths: { "registry.example": value, "other.example": entry("ann") } });
    await expect(home.open().get("registry.example")).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: `${file}: entry for registry.example: ${why}`,
    });
    expect(await home.open().get("other.example")).toMatchObject({ username: "ann" });
  });
});

describe("files", () => {
  const places = ["run/containers/auth.json", ".config/containers/auth.json", config, ".dockercfg"];

  // cli.md 2.5: containers auth.json
  test.each(places.map((name, index) => [name, index] as const))(
    "%s is asked after those before it",
    async (name, index) => {
      await using home = await makeHome();
      for (const place of places.slice(index)) await home.write(place, contentFor(place));
      expect(await home.open().get("registry.example")).toMatchObject({ username: name, source: home.at(name) });
    },
  );

  test("that know nothing of a host are passed over", async () => {
    await using home = await makeHome();
    await home.write("run/containers/auth.json", { auths: { "other.example": entry("other") } });
    await home.write(config, { auths: { "registry.example": entry("ann") } });
    expect(await home.open().get("registry.example", "app")).toMatchObject({ username: "ann" });
  });

  test.each([
    [{ REGISTRY_AUTH_FILE: "one.json", DOCKER_CONFIG: "dir" }, "one.json"],
    [{ DOCKER_CONFIG: "dir" }, "dir/config.json"],
    [{ XDG_CONFIG_HOME: "xdg" }, "xdg/containers/auth.json"],
    [{ REGISTRY_AUTH_FILE: "", DOCKER_CONFIG: "" }, ".config/containers/auth.json"],
  ])("are named by the environment: %j", async (variables, name) => {
    await using home = await makeHome();
    for (const place of ["one.json", "dir/config.json", "xdg/containers/auth.json", ".config/containers/auth.json"]) {
      await home.write(place, { auths: { "registry.example": entry(place) } });
    }
    const paths = Object.entries(variables).map(([key, value]) => [key, value === "" ? "" : home.at(value)]);
    const environment = { ...home.environment, ...Object.fromEntries(paths) };
    expect(await home.open({ environment }).get("registry.example")).toMatchObject({ username: name });
  });

  test("that the environment names keep all others out", async () => {
    await using home = await makeHome();
    await home.write(config, { auths: { "registry.example": entry("ann") } });
    for (const name of ["REGISTRY_AUTH_FILE", "DOCKER_CONFIG"]) {
      const environment = { ...home.environment, [name]: home.at("nowhere") };
      expect(await home.open({ environment }).get("registry.example")).toBeUndefined();
    }
  });

  test("may be one that the caller names, and then nothing else counts", async () => {
    await using home = await makeHome({
      DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { "registry.example": entry("env") } }),
    });
    await home.write(config, { auths: { "registry.example": entry("ann") } });
    const file = await home.write("mine.json", { auths: {} });
    expect(await home.open({ file }).get("registry.example")).toBeUndefined();
    await home.write("mine.json", { auths: { "registry.example": entry("mine") } });
    expect(await home.open({ file }).get("registry.example")).toMatchObject({ username: "mine" });
  });

  test.each([
    ["text", "planted-secret {", "not JSON"],
    ["half of it", '{"auths": {"registry.example": {"auth": "planted-secret', "not JSON"],
    ["a list", '["planted-secret"]', "not an object"],
    ["auths that are a list", '{"auths": ["planted-secret"]}', "auths: not an object"],
    ["helpers that are a text", '{"credHelpers": "planted-secret"}', "credHelpers: not an object"],
  ])("that are %s are named in an error that does not quote them", async (_what, text, why) => {
    await using home = await makeHome();
    const file = await home.write(config, text);
    const failure: unknown = await home
      .open()
      .get("registry.example")
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "ERR_INVALID_DATA", message: expect.stringContaining(`${file}: `) });
    expect(failure).toMatchObject({ message: expect.stringContaining(why) });
    // With its cause and its stack.
    expect(inspect(failure)).not.toContain("planted");
  });

  test.each(["", " \n", "{}", '{"auths": null, "credsStore": ""}', '\uFEFF{"auths": {}}'])(
    "with %j say nothing",
    async (text) => {
      expect(await userFor(text, "registry.example")).toBeUndefined();
    },
  );

  test("without end are not read to it", async () => {
    await using home = await makeHome();
    await home.write(config, `{"auths": {}, "more": "${"x".repeat(5 * 1024 * 1024)}"}`);
    await expect(home.open().get("registry.example")).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
  });

  test("that are pipes or directories are not waited for", async () => {
    await using home = await makeHome();
    await promisify(execFile)("mkfifo", [home.at("pipe")]);
    for (const file of [home.at("pipe"), home.path]) {
      await expect(home.open({ file }).get("registry.example")).rejects.toMatchObject({
        code: "ERR_INVALID_DATA",
        message: `${file}: not a regular file`,
      });
    }
    expect(await home.open({ file: "/dev/null" }).get("registry.example")).toBeUndefined();
  });

  test("below something that is no directory are not there", async () => {
    await using home = await makeHome({ HOME: "/dev/null" });
    expect(await home.open().get("registry.example")).toBeUndefined();
  });

  test("that are links are followed", async () => {
    await using home = await makeHome();
    await home.write("real.json", { auths: { "registry.example": entry("ann") } });
    await home.write(".docker/other", "");
    await symlink("../real.json", home.at(config));
    expect(await home.open().get("registry.example")).toMatchObject({ username: "ann" });
  });

  test("are read anew on each call", async () => {
    await using home = await makeHome();
    const store = home.open();
    expect(await store.get("registry.example")).toBeUndefined();
    await home.write(config, { auths: { "registry.example": entry("ann") } });
    expect(await store.get("registry.example")).toMatchObject({ username: "ann" });
  });

  test("of this process's environment are the default", async () => {
    await using home = await makeHome();
    const file = await home.write("mine.json", { auths: { "registry.example": entry("ann") } });
    const before = process.env["REGISTRY_AUTH_FILE"];
    try {
      process.env["REGISTRY_AUTH_FILE"] = file;
      expect(await openCredentials().get("registry.example")).toMatchObject({ username: "ann" });
    } finally {
      if (before === undefined) delete process.env["REGISTRY_AUTH_FILE"];
      else process.env["REGISTRY_AUTH_FILE"] = before;
    }
  });
});

// cli.md 2.5, docker/cli#6008, #6156, #6171
describe("DOCKER_AUTH_CONFIG", () => {
  const text = JSON.stringify({ auths: { "registry.example": entry("env") } });

  test.each([
    [{}, "env"],
    [{ DOCKER_AUTH_ORDER: "env,config" }, "env"],
    [{ DOCKER_AUTH_ORDER: "config,env" }, "file"],
    [{ DOCKER_AUTH_ORDER: "config, env" }, "file"],
    [{ GITLAB_CI: "true" }, "file"],
    [{ GITLAB_CI: "true", DOCKER_AUTH_ORDER: "env,config" }, "env"],
    [{ DOCKER_AUTH_ORDER: "nonsense" }, "env"],
  ])("with %j: what counts first is %s", async (more, user) => {
    await using home = await makeHome({ DOCKER_AUTH_CONFIG: text, ...more });
    await home.write(config, { auths: { "registry.example": entry("file"), "other.example": entry("other") } });
    expect(await home.open().get("registry.example")).toMatchObject({ username: user });
    expect(await home.open().get("other.example")).toMatchObject({ username: "other" });
  });

  test("is asked after files that know nothing", async () => {
    await using home = await makeHome({ DOCKER_AUTH_CONFIG: text, DOCKER_AUTH_ORDER: "config,env" });
    expect(await home.open().get("registry.example")).toEqual({
      username: "env",
      password,
      source: "DOCKER_AUTH_CONFIG",
    });
  });

  test("that is malformed is not quoted", async () => {
    await using home = await makeHome({ DOCKER_AUTH_CONFIG: "{planted-secret" });
    await expect(home.open().get("registry.example")).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: "DOCKER_AUTH_CONFIG: not JSON",
    });
  });
});
