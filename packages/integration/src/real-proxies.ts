import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { freePort, serve } from "./tls-registry.ts";

/** A proxy on loopback that wants a login. */
export interface RealProxy extends AsyncDisposable {
  readonly host: string;
  /** What it wrote about those who asked; of a tunnel when it has ended. */
  log(): Promise<string>;
}

export interface Login {
  readonly name: string;
  readonly password: string;
}

/** squid, which knows `names` that nobody else knows: they lead to this machine. */
export async function startSquid(directory: string, login: Login, names: readonly string[]): Promise<RealProxy> {
  const own = join(directory, "squid");
  await mkdir(own);
  const [hosts, users] = [join(own, "hosts"), join(own, "users")];
  const [access, config] = [join(own, "access.log"), join(own, "squid.conf")];
  await writeFile(hosts, `127.0.0.1 ${names.join(" ")}\n`);
  await writeFile(users, (await exec("htpasswd", ["-Bbn", login.name, login.password])).stdout);
  const port = await freePort();
  await writeFile(
    config,
    `http_port 127.0.0.1:${port}
hosts_file ${hosts}
auth_param basic program /usr/lib/squid/basic_ncsa_auth ${users}
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
access_log stdio:${access}
cache_log ${join(own, "cache.log")}
pid_filename none
pinger_enable off
coredump_dir ${own}
shutdown_lifetime 0 seconds
`,
  );
  await giveTo("proxy", own, directory);
  const served = await serve("squid", ["-N", "-f", config], port, join(directory, "squid.out"));
  return proxy(served, access);
}

/** tinyproxy. */
export async function startTinyproxy(directory: string, login: Login): Promise<RealProxy> {
  const own = join(directory, "tinyproxy");
  await mkdir(own);
  const [log, config] = [join(own, "log"), join(own, "tinyproxy.conf")];
  const port = await freePort();
  await writeFile(
    config,
    `Port ${port}
Listen 127.0.0.1
LogFile "${log}"
LogLevel Connect
MaxClients 20
BasicAuth ${login.name} ${login.password}
`,
  );
  await writeFile(log, "");
  const served = await serve("tinyproxy", ["-d", "-c", config], port, join(directory, "tinyproxy.out"));
  return proxy(served, log);
}

function proxy(served: { readonly port: number } & AsyncDisposable, log: string): RealProxy {
  return {
    host: `127.0.0.1:${served.port}`,
    log: () => readFile(log, "utf8").catch(() => ""),
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}

/** Started as root, squid becomes somebody else. */
async function giveTo(user: string, directory: string, parent: string): Promise<void> {
  const { stdout } = await exec("id", ["-u", user]);
  await chown(directory, Number(stdout), -1);
  await chmod(parent, 0o755);
}
