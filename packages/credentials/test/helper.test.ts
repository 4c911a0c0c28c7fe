import { chmod, readFile } from "node:fs/promises";
import { helperCredentials } from "@varve/credentials";
import { describe, expect, test } from "vitest";
import { entry, errorOf, keepingHelper, makeHome, password } from "./home.ts";

const config = ".docker/config.json";
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

// cli.md 2.5
describe("a credential helper", () => {
  test("for the host comes before that for all, and that before what is in the file", async () => {
    await using home = await makeHome();
    for (const name of ["one", "all"]) {
      await home.helper(name, `console.log(JSON.stringify({ Username: "${name}", Secret: "planted-secret" }));`);
    }
    await home.write(config, {
      auths: { "a.example": entry("file"), "b.example": entry("file") },
      credHelpers: { "https://a.example": "one" },
      credsStore: "all",
    });
    const store = home.open();
    expect(await store.get("a.example", "app")).toEqual({
      username: "one",
      password: "planted-secret",
      source: "docker-credential-one",
    });
    expect(await store.get("b.example", "app")).toMatchObject({ username: "all" });
    expect(await readFile(home.at("helper.log"), "utf8")).toBe("get a.example\nget b.example\n");
  });

  test("gives an identity token as the secret of the user <token>", async () => {
    await using home = await makeHome();
    await home.helper("x", 'console.log(JSON.stringify({ Username: "<token>", Secret: "planted-secret" }));');
    await home.write(config, { credsStore: "x" });
    expect(await home.open().get("registry.example")).toEqual({
      identityToken: "planted-secret",
      source: "docker-credential-x",
    });
  });

  test("is asked for Docker Hub by both of its names", async () => {
    await using home = await makeHome();
    await home.helper("x", "none();");
    await home.write(config, { credHelpers: { "docker.io": "x" } });
    expect(await home.open().get("docker.io", "library/app")).toBeUndefined();
    expect(await readFile(home.at("helper.log"), "utf8")).toBe("get https://index.docker.io/v1/\nget docker.io\n");
    expect(home.warnings).toEqual([]);
  });

  test("that knows nothing leaves it to the file", async () => {
    await using home = await makeHome();
    await home.helper("x", "none();");
    await home.write(config, { credsStore: "x", auths: { "registry.example": entry("ann"), "b.example": {} } });
    expect(await home.open().get("registry.example")).toMatchObject({ username: "ann" });
    // devcontainers/cli#435
    expect(await home.open().get("b.example")).toBeUndefined();
    expect(home.warnings).toEqual([]);
  });

  test.each([
    ["fails", 'console.log("planted-secret"); console.error("planted-secret"); process.exit(3);', "get: exit status 3"],
    ["is killed", "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);", "get: killed"],
    ["answers with nonsense", 'console.log("planted-secret");', "get: an answer of another form"],
    ["answers with another form", "console.log('{\"Username\":7}');", "get: an answer of another form"],
    [
      "answers without end",
      'process.stdout.on("error", () => process.exit(0)); const more = () => process.stdout.write("x".repeat(65536), more); more();',
      "get: more than 1048576 bytes",
    ],
  ])("that %s is told of without its words, and passed over", async (_what, body, why) => {
    await using home = await makeHome();
    await home.helper("x", body);
    await home.write(config, { credsStore: "x", auths: { "registry.example": entry("ann") } });
    expect(await home.open().get("registry.example")).toMatchObject({ username: "ann" });
    expect(home.warnings).toEqual([`docker-credential-x: ${why}`.replace("-x: get: more", "-x get: more")]);
  });

  test("that is not installed is told of and passed over", async () => {
    await using home = await makeHome();
    await home.write(config, { credsStore: "absent", auths: { "registry.example": entry("ann") } });
    expect(await home.open().get("registry.example")).toMatchObject({ username: "ann" });
    expect(home.warnings).toEqual(["docker-credential-absent: not found in PATH"]);
  });

  test.each(["../x", "/bin/sh", "a b", "x;id", "", "-x", "a\0b", "x\n"])(
    "with the name %j is not started",
    async (name) => {
      await using home = await makeHome();
      await home.helper("x", 'console.log(JSON.stringify({ Username: "wrong", Secret: "planted-secret" }));');
      await home.write(config, {
        credHelpers: { "registry.example": name },
        auths: { "registry.example": entry("ann") },
      });
      expect(await home.open().get("registry.example")).toMatchObject({ username: "ann" });
    },
  );

  // devcontainers/cli#610
  test("that does not answer is killed, with all that it started", async () => {
    await using home = await makeHome();
    await home.helper(
      "x",
      `const { spawn } = require("node:child_process");
       const child = spawn("sleep", ["600"], { stdio: "inherit" });
       writeFileSync(${JSON.stringify(home.at("pids"))}, process.pid + " " + child.pid);
       setInterval(() => {}, 1000);`,
    );
    await home.write(config, { credsStore: "x", auths: { "registry.example": entry("ann") } });
    let started: RegExpExecArray | null = null;
    // Longer and longer, until there is something to kill.
    for (let helperTimeout = 500; started === null; helperTimeout *= 2) {
      await expect(home.open({ helperTimeout }).get("registry.example")).rejects.toMatchObject({
        code: "ERR_DEADLINE_EXCEEDED",
        message: `docker-credential-x get: no answer within ${helperTimeout} ms`,
      });
      started = /^(\d+) (\d+)$/.exec(await readFile(home.at("pids"), "utf8").catch(() => ""));
    }
    const pids = started.slice(1).map(Number);
    await expect.poll(() => pids.filter(alive), { timeout: 50_000 }).toEqual([]);
  });

  test("is killed when the caller gives up", async () => {
    await using home = await makeHome();
    await home.helper(
      "x",
      `writeFileSync(${JSON.stringify(home.at("pid"))}, String(process.pid)); setInterval(() => {}, 1000);`,
    );
    await home.write(config, { credsStore: "x" });
    const stop = new AbortController();
    const reason = new Error("enough");
    const asked = home.open().get("registry.example", undefined, { signal: stop.signal });
    const pid = async (): Promise<number> => Number(await readFile(home.at("pid"), "utf8").catch(() => "0"));
    const refused = errorOf(asked);
    await expect.poll(pid, { timeout: 50_000 }).toBeGreaterThan(0);
    stop.abort(reason);
    expect(await refused).toBe(reason);
    const running = await pid();
    await expect.poll(() => alive(running), { timeout: 50_000 }).toBe(false);
  });

  test("that leaves something running which holds its output is not waited for", async () => {
    await using home = await makeHome();
    await home.helper(
      "x",
      `const child = require("node:child_process").spawn("sleep", ["20"], { stdio: "inherit", detached: true });
       writeFileSync(${JSON.stringify(home.at("pid"))}, String(child.pid));
       child.unref();
       console.log(JSON.stringify({ Username: "ann", Secret: "planted-secret" }));`,
    );
    await home.write(config, { credsStore: "x" });
    expect(await home.open({ helperTimeout: 15_000 }).get("registry.example")).toMatchObject({ username: "ann" });
    process.kill(Number(await readFile(home.at("pid"), "utf8")));
  });

  test("that reads nothing is right too", async () => {
    await using home = await makeHome();
    await home.write("bin/docker-credential-x", `#!/bin/sh\necho '{"Username":"ann","Secret":"planted-secret"}'\n`);
    await home.write(config, { credsStore: "x" });
    expect(await home.open().get("registry.example")).toBeUndefined();
    expect(home.warnings).toEqual(["docker-credential-x: not executable"]);
    await chmod(home.at("bin/docker-credential-x"), 0o755);
    expect(await home.open().get("registry.example")).toMatchObject({ username: "ann" });
  });
});

// G-21
describe("one helper alone", () => {
  test("is asked whatever the files say", async () => {
    await using home = await makeHome();
    await home.helper("x", keepingHelper(home));
    await home.write("kept.json", { "registry.example": { Username: "ann", Secret: password } });
    await home.write(config, { auths: { "registry.example": entry("bob"), "other.example": entry("bob") } });
    const ask = helperCredentials("x", { environment: home.environment });
    expect(await ask("registry.example", "app")).toEqual({ username: "ann", password, source: "docker-credential-x" });
    expect(await ask("other.example", "app")).toBeUndefined();
  });

  test("that is not there is told of, and one that is no name is refused", async () => {
    await using home = await makeHome();
    const { environment, warnings } = home;
    const ask = helperCredentials("absent", { environment, onWarning: (message) => warnings.push(message) });
    expect(await ask("registry.example", "app")).toBeUndefined();
    expect(warnings).toEqual(["docker-credential-absent: not found in PATH"]);
    expect(() => helperCredentials("../x")).toThrow('credential helper "../x": not a name');
  });

  test("that does not answer is an error", async () => {
    await using home = await makeHome();
    await home.helper("x", "setInterval(() => {}, 1000);");
    const ask = helperCredentials("x", { environment: home.environment, helperTimeout: 200 });
    await expect(ask("registry.example", "app")).rejects.toMatchObject({ code: "ERR_DEADLINE_EXCEEDED" });
  });
});

describe("with a credential helper", () => {
  test("a login goes to it, and what was in the file before goes away", async () => {
    await using home = await makeHome();
    await home.helper("x", keepingHelper(home));
    await home.write(config, { auths: { "registry.example": { ...entry("old"), email: "a@b" } }, credsStore: "x" });
    const store = home.open();
    expect(await store.put("registry.example", { username: "ann", password })).toBe("docker-credential-x");
    expect(await home.read("kept.json")).toEqual({ "registry.example": { Username: "ann", Secret: password } });
    expect(await home.read(config)).toEqual({ auths: { "registry.example": { email: "a@b" } }, credsStore: "x" });
    expect(await store.get("registry.example", "app")).toMatchObject({ username: "ann", password });
    await store.put("https://index.docker.io/v1/", { identityToken: "planted-secret-id" });
    expect(await home.read("kept.json")).toMatchObject({
      "https://index.docker.io/v1/": { Username: "<token>", Secret: "planted-secret-id" },
    });
    expect(await store.get("docker.io", "library/app")).toMatchObject({ identityToken: "planted-secret-id" });
  });

  test("a logout clears it, and the file", async () => {
    await using home = await makeHome();
    await home.helper("x", keepingHelper(home));
    const file = await home.write(config, { auths: { "registry.example": entry("old") }, credsStore: "x" });
    await home.write("kept.json", { "registry.example": { Username: "ann", Secret: password } });
    expect(await home.open().delete("registry.example")).toEqual(["docker-credential-x", file]);
    expect(await home.read("kept.json")).toEqual({});
    expect(await home.read(config)).toEqual({ auths: {}, credsStore: "x" });
    expect(await home.open().delete("registry.example")).toEqual([]);
  });

  test("a logout that it refuses still clears the file, and is an error", async () => {
    await using home = await makeHome();
    await home.helper("x", 'if (action === "erase") process.exit(2); console.log(\'{"Username":"a","Secret":"b"}\');');
    await home.write("run/containers/auth.json", { credHelpers: { "registry.example": "x" } });
    await home.write(config, { auths: { "registry.example": entry("old") } });
    await expect(home.open().delete("registry.example")).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: "docker-credential-x: erase: exit status 2",
    });
    expect(await home.read(config)).toEqual({ auths: {} });
  });

  test.each([
    [{ username: "ann", password }, "absent", "ERR_FAILED_PRECONDITION", "registry.example"],
    [{ username: "ann", password }, "bad", "ERR_FAILED_PRECONDITION", "registry.example"],
    [{ registryToken: "planted-secret" }, "x", "ERR_NOT_IMPLEMENTED", "registry.example"],
    [{ username: "ann", password }, "x", "ERR_NOT_IMPLEMENTED", "registry.example/team"],
  ] as const)(
    "a login %# that it cannot keep is an error, and nothing is written",
    async (credentials, name, code, key) => {
      await using home = await makeHome();
      await home.helper("x", keepingHelper(home));
      await home.helper("bad", 'console.error("planted-secret"); process.exit(1);');
      const before = { auths: { [key]: entry("old") }, credsStore: name };
      await home.write(config, before);
      const failure: unknown = await home
        .open()
        .put(key, credentials)
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({ code });
      expect(String(failure)).not.toContain("planted");
      expect(await home.read(config)).toEqual(before);
    },
  );

  test("a login goes to the one of an earlier file, which would hide it", async () => {
    await using home = await makeHome();
    await home.helper("x", keepingHelper(home));
    await home.write(".config/containers/auth.json", { credHelpers: { "registry.example": "x" } });
    await home.write(config, {});
    expect(await home.open().put("registry.example", { username: "ann", password })).toBe("docker-credential-x");
    expect(await home.read(config)).toEqual({});
  });

  test("the list names what it keeps, and what the file keeps", async () => {
    await using home = await makeHome();
    await home.helper("x", keepingHelper(home));
    await home.helper("quiet", 'console.log(action === "list" ? "null" : "{}");');
    const file = await home.write(config, {
      auths: { "file.example": entry("bob"), "kept.example": {}, "token.example": { identitytoken: "planted-secret" } },
      credsStore: "x",
      credHelpers: { "made.example": "quiet", "gone.example": "absent" },
    });
    await home.write("kept.json", {
      "kept.example": { Username: "ann", Secret: password },
      "id.example": { Username: "<token>", Secret: password },
    });
    expect(await home.open().list()).toEqual([
      { key: "file.example", username: "bob", source: file },
      { key: "token.example", source: file },
      { key: "made.example", source: "docker-credential-quiet" },
      { key: "gone.example", source: "docker-credential-absent" },
      { key: "kept.example", username: "ann", source: "docker-credential-x" },
      { key: "id.example", source: "docker-credential-x" },
    ]);
    expect(home.warnings).toEqual(["docker-credential-absent: not found in PATH"]);
  });
});
