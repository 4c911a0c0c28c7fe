import { execFile } from "node:child_process";
import { existsSync, renameSync, watch } from "node:fs";
import { chmod, chown, lstat, mkdir, readFile, readdir, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { entry, errorOf, makeHome, password } from "./home.ts";

const config = ".docker/config.json";
const ann = { username: "ann", password };

describe("a login", () => {
  test("is kept in docker's file, which only its owner can read", async () => {
    await using home = await makeHome();
    const store = home.open();
    expect(await store.put("registry.example", ann)).toBe(home.at(config));
    expect((await stat(home.at(config))).mode & 0o777).toBe(0o600);
    expect((await stat(home.at(".docker"))).mode & 0o777).toBe(0o700);
    expect(await readFile(home.at(config), "utf8")).toBe(
      `{\n\t"auths": {\n\t\t"registry.example": {\n\t\t\t"auth": "${entry("ann").auth}"\n\t\t}\n\t}\n}`,
    );
    expect(await store.get("registry.example", "app")).toMatchObject(ann);
    expect(await readdir(home.at(".docker"))).toEqual(["config.json"]);
  });

  test.each([
    ["docker.io", "https://index.docker.io/v1/"],
    ["https://registry.example/v1/", "registry.example"],
    ["Registry.Example:5000", "registry.example:5000"],
    ["registry.example/team/app", "registry.example/team/app"],
    ["[::1]:5000", "[::1]:5000"],
  ])("for %s has the key %s", async (key, written) => {
    await using home = await makeHome();
    await home.open().put(key, ann);
    expect(await home.read(config)).toEqual({ auths: { [written]: entry("ann") } });
  });

  test.each([
    [{ identityToken: "planted-secret-id" }],
    [{ registryToken: "planted-secret-reg" }],
    [{ username: "ann", password: "" }],
    [{ username: "änn ✓", password: "planted-secret ✓" }],
  ] as const)("%# is read again as it was", async (credentials) => {
    await using home = await makeHome();
    await home.open().put("registry.example", credentials);
    expect(await home.open().get("registry.example")).toEqual({ ...credentials, source: home.at(config) });
  });

  test("leaves everything else as it was, in its order", async () => {
    await using home = await makeHome();
    const before = `{
  "HttpHeaders": {
    "X-Meta": "a"
  },
  "auths": {
    "b.example": {
      "auth": "Ojo="
    },
    "docker.io": {
      "email": "ann@example.com",
      "auth": "Ojo="
    },
    "https://index.docker.io/v1/": {},
    "a.example": {}
  },
  "__proto__": {
    "a": 1
  },
  "psFormat": "x"
}
`;
    await home.write(config, before);
    await home.open().put("docker.io", ann);
    const after = before
      .replace('"docker.io"', '"https://index.docker.io/v1/"')
      .replace(
        '      "auth": "Ojo="\n    },\n    "https://index.docker.io/v1/": {}',
        `      "auth": "${entry("ann").auth}"\n    }`,
      );
    expect(await readFile(home.at(config), "utf8")).toBe(after);
  });

  test("is kept where an entry stands that would be found before it", async () => {
    await using home = await makeHome();
    const file = await home.write("run/containers/auth.json", { auths: { "registry.example": entry("old") } });
    expect(await home.open().put("registry.example", ann)).toBe(file);
    expect(await home.open().get("registry.example")).toMatchObject(ann);
    expect(await home.open().put("other.example", ann)).toBe(home.at(config));
  });

  test("that the environment hides is told of", async () => {
    const text = JSON.stringify({ auths: { "registry.example": entry("env") } });
    await using home = await makeHome({ DOCKER_AUTH_CONFIG: text });
    expect(await home.open().put("registry.example", ann)).toBe(home.at(config));
    expect(home.warnings).toEqual([
      "DOCKER_AUTH_CONFIG: has credentials for registry.example, which come before those of files",
    ]);
  });

  test("has nowhere to go without a home directory", async () => {
    await using home = await makeHome({ HOME: "" });
    await expect(home.open().put("registry.example", ann)).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: "registry.example: no file to keep credentials in",
    });
  });

  test.each(["", "a b", "a\nb", "registry.example/../x y", "https://", "user@registry.example", "registry.example?x"])(
    "for the key %j is refused",
    async (key) => {
      await using home = await makeHome();
      await expect(home.open().put(key, ann)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
      expect(await readdir(home.path)).toEqual([]);
    },
  );

  test.each(["", "a:b", "a\nb"])("of the user %j is refused, since it would be read as another", async (username) => {
    await using home = await makeHome();
    const refused = home.open().put("registry.example", { username, password });
    await expect(refused).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  test.each(["no JSON", '{"auths": {', '{"auths": []}', "[]"])("never overwrites a file with %j", async (text) => {
    await using home = await makeHome();
    await home.write(config, text);
    await expect(home.open().put("registry.example", ann)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    await expect(home.open().delete("registry.example")).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    expect(await readFile(home.at(config), "utf8")).toBe(text);
    expect(await readdir(home.at(".docker"))).toEqual(["config.json"]);
  });

  test("in a file that all could read makes it unreadable for others", async () => {
    await using home = await makeHome();
    await home.write(config, {});
    await chmod(home.at(config), 0o644);
    await home.open().put("registry.example", ann);
    expect((await stat(home.at(config))).mode & 0o777).toBe(0o600);
  });

  test.skipIf(process.getuid?.() !== 0)("by root leaves a user's file to the user", async () => {
    await using home = await makeHome();
    await home.write(config, {});
    await chown(home.at(config), 1234, 2345);
    await home.open().put("registry.example", ann);
    expect(await stat(home.at(config))).toMatchObject({ uid: 1234, gid: 2345 });
  });

  test.each([true, false])("goes through links, which stay (there is a file: %s)", async (exists) => {
    await using home = await makeHome();
    await mkdir(home.at("dotfiles"));
    await mkdir(home.at(".docker"));
    if (exists) await writeFile(home.at("dotfiles/real.json"), '{"a":1}');
    await symlink("config.json", home.at("dotfiles/real-link"));
    await symlink("../dotfiles/real.json", home.at(config));
    await home.open().put("registry.example", ann);
    expect(await readlink(home.at(config))).toBe("../dotfiles/real.json");
    expect(await home.read("dotfiles/real.json")).toMatchObject({ auths: { "registry.example": entry("ann") } });
    expect((await lstat(home.at("dotfiles/real.json"))).isFile()).toBe(true);
  });

  test("into a link to itself is an error", async () => {
    await using home = await makeHome();
    await mkdir(home.at(".docker"));
    await symlink("config.json", home.at(config));
    await expect(home.open().put("registry.example", ann)).rejects.toMatchObject({ code: "ELOOP" });
  });

  test("is never readable by others, at no moment", async () => {
    await using home = await makeHome();
    await home.write(config, {});
    await chmod(home.at(config), 0o600);
    const modes = new Set<number>();
    const done = new AbortController();
    const watching = (async () => {
      while (!done.signal.aborted) {
        for (const name of await readdir(home.at(".docker"))) {
          const stats = await stat(join(home.at(".docker"), name)).catch(() => undefined);
          if (stats !== undefined) modes.add(stats.mode & 0o777);
        }
      }
    })();
    const before = process.umask(0);
    try {
      for (let turn = 0; turn < 50; turn += 1) await home.open().put(`r${turn}.example`, ann);
    } finally {
      process.umask(before);
      done.abort();
      await watching;
    }
    expect([...modes]).toEqual([0o600]);
  });
});

describe("logins at once", () => {
  test("of one process lose nothing", async () => {
    await using home = await makeHome();
    await Promise.all(Array.from({ length: 20 }, (_, index) => home.open().put(`r${index}.example`, ann)));
    expect((await home.open().list()).map(({ key }) => key).toSorted()).toEqual(
      Array.from({ length: 20 }, (_, index) => `r${index}.example`).toSorted(),
    );
  });

  test("of several processes lose nothing", async () => {
    await using home = await makeHome();
    const script = `
      import { openCredentials } from ${JSON.stringify(import.meta.resolve("@varve/credentials"))};
      const store = openCredentials({ file: process.argv[1] });
      for (let index = 0; index < 10; index += 1) {
        await store.put(\`r\${process.argv[2]}-\${index}.example\`, { username: "ann", password: "planted-secret" });
      }`;
    const file = home.at("auth.json");
    const run = promisify(execFile);
    await Promise.all(
      [1, 2, 3].map((one) =>
        run(process.execPath, ["--input-type=module-typescript", "-e", script, file, String(one)]),
      ),
    );
    expect(await home.open({ file }).list()).toHaveLength(30);
    expect(await readdir(home.path)).toEqual(["auth.json"]);
  });

  test("and others that heed no lock lose nothing either", async () => {
    await using home = await makeHome();
    const file = await home.write("auth.json", {});
    const other = await home.write("other.json", { psFormat: "x" });
    // What is to be written is there: the file has been read, and is about to be replaced.
    const watcher = watch(home.path, (_event, name) => {
      if (name?.startsWith(".auth.json.") === true && existsSync(other)) renameSync(other, file);
    });
    try {
      await home.open({ file }).put("registry.example", ann);
    } finally {
      watcher.close();
    }
    expect(await home.read("auth.json")).toEqual({ psFormat: "x", auths: { "registry.example": entry("ann") } });
    expect(await readdir(home.path)).toEqual(["auth.json"]);
  });

  test("are not held up by the lock of a killed process for long", async () => {
    await using home = await makeHome();
    const file = await home.write("auth.json", {});
    await home.write("auth.json.lock", "");
    await home.open({ file }).put("registry.example", ann);
    expect(await home.open({ file }).get("registry.example")).toMatchObject(ann);
    expect(await readdir(home.path)).toEqual(["auth.json"]);
  }, 30_000);

  test("that wait can be given up", async () => {
    await using home = await makeHome();
    const file = await home.write("auth.json", {});
    await home.write("auth.json.lock", "");
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(home.open({ file }).put("registry.example", ann, { signal })).rejects.toBe(reason);
    const stop = new AbortController();
    const waiting = home.open({ file }).put("registry.example", ann, { signal: stop.signal });
    const refused = errorOf(waiting);
    await new Promise((resolve) => setTimeout(resolve, 50));
    stop.abort(reason);
    expect(await refused).toBe(reason);
    expect(await home.read("auth.json")).toEqual({});
  });
});

describe("a logout", () => {
  test("clears every file, in every form of the key, and says which had one", async () => {
    await using home = await makeHome();
    const places = ["run/containers/auth.json", config];
    for (const name of places) {
      await home.write(name, {
        auths: { "docker.io": entry("ann"), "https://index.docker.io/v1/": {}, "b.example": entry("bob") },
      });
    }
    await home.write(".dockercfg", { "index.docker.io/v1/": entry("ann"), other: { email: "x" } });
    await home.write(".config/containers/auth.json", { auths: { "docker.io": {} } });
    const cleared = [...places, ".dockercfg"].map((name) => home.at(name));
    expect(await home.open().delete("docker.io")).toEqual(cleared);
    for (const name of places) expect(await home.read(name)).toEqual({ auths: { "b.example": entry("bob") } });
    expect(await home.read(".dockercfg")).toEqual({ other: { email: "x" } });
    expect(await home.open().delete("docker.io")).toEqual([]);
  });

  test("concerns exactly its key", async () => {
    await using home = await makeHome();
    const auths = { "a.example": entry("a"), "a.example/team": entry("b"), "a.example/team/app": entry("c") };
    await home.write(config, { auths });
    await home.open().delete("a.example/team");
    expect(await home.read(config)).toEqual({ auths: { "a.example": entry("a"), "a.example/team/app": entry("c") } });
    await home.open().delete("a.example");
    expect(await home.read(config)).toEqual({ auths: { "a.example/team/app": entry("c") } });
  });

  test("cannot change the environment, and says so", async () => {
    const text = JSON.stringify({ auths: { "registry.example": entry("env") } });
    await using home = await makeHome({ DOCKER_AUTH_CONFIG: text });
    expect(await home.open().delete("registry.example")).toEqual([]);
    expect(home.warnings).toEqual(["DOCKER_AUTH_CONFIG: has credentials for registry.example, which stay there"]);
  });

  test("where nothing is kept writes nothing", async () => {
    await using home = await makeHome();
    expect(await home.open().delete("registry.example")).toEqual([]);
    expect(await readdir(home.path)).toEqual([]);
  });
});
