import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { parseBytes, parsePositive } from "../arguments/count.ts";
import { parseDuration } from "../arguments/duration.ts";
import { collectValue } from "../arguments/repeated.ts";

/** Adds the options of commands that talk to registries. */
export function addRegistryOptions(command: Command): Command {
  addTls(command);
  addCredentials(command);
  return addHosts(command)
    .option("--retry-times <number>", "how often a failed request is repeated (default: 4)", parseNumber)
    .option("--retry-delay <duration>", "before the first repetition (default: 200ms)", parseDuration)
    .option("--user-agent-prefix <text>", "put in front of our own name")
    .option("--http-trace", "show every request and answer on standard error, without secrets");
}

/** Adds the options that say what is known of registries. */
export function addHosts(command: Command): Command {
  return command
    .option(
      "--hosts-dir <dir>",
      "mirrors and certificates as containerd keeps them, hosts.toml; repeatable",
      collectValue,
    )
    .option("--registries-conf <file>", "mirrors as podman keeps them; repeatable", collectValue);
}

/** Adds the options that are for one of the two registries of a copy. */
export function addSides(command: Command): Command {
  for (const [side, which] of [
    ["src", "source"],
    ["dest", "destination"],
  ] as const) {
    command
      .option(`--${side}-creds <user:password>`, `use these for the ${which} only`)
      .option(`--${side}-registry-token <token>`, `use this access token for the ${which} only`)
      .addOption(tlsVerify(`--${side}-tls-verify`, `false: accept any certificate of the ${which}`));
  }
  return command;
}

/** Adds the options that say who we are. */
function addCredentials(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--authfile <file>",
        "credentials as docker and podman write them (default: where those keep theirs)",
      ).env("REGISTRY_AUTH_FILE"),
    )
    .option(
      "--creds <user:password>",
      "use these for the registry that is named, and no other; everybody here sees them in the list of processes",
    )
    .option("--no-creds", "use none")
    .option("--registry-token <token>", "use this access token for the registry that is named");
}

/** Adds the options that say whom we trust. */
export function addTls(command: Command): Command {
  return command
    .addOption(tlsVerify("--tls-verify", "false: accept any certificate"))
    .option("-k, --insecure", "the same as --tls-verify=false")
    .option("--ca-file <file>", "trust these authorities, too (PEM)")
    .option("--cert-file <file>", "prove who we are by this certificate (PEM)")
    .option("--key-file <file>", "its key (PEM)");
}

/** Adds what says how much at a time. */
export function addDownloadOptions(command: Command): Command {
  return command
    .option("--max-concurrent-downloads <number>", "blobs fetched at a time (default: 3)", parsePositive)
    .option("--connections-per-blob <number>", "connections for one large blob (default: 1)", parsePositive);
}

/** Adds what says how much at a time is sent. */
export function addUploadOptions(command: Command): Command {
  return command.option(
    "--upload-chunk-size <bytes>",
    "largest body of one request, such as 90M (default: none)",
    parseBytes,
  );
}

/** Adds the option that leaves only the digest of what is printed. */
export function addQuiet(command: Command): Command {
  return command.option("-q, --quiet", "no progress, and of the result only the digest");
}

/** Adds the option that writes a digest to a file, for scripts. */
export function addDigestFile(command: Command): Command {
  return command.option("--digestfile <file>", "write the digest of the manifest to this file");
}

/** As podman has it: without a value it means true. */
function tlsVerify(name: string, description: string): Option {
  return new Option(`${name} [boolean]`, description).argParser(parseBoolean);
}

function parseBoolean(text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw new InvalidArgumentError("Not true or false.");
}

function parseNumber(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError("Not a number from 0 to 999.");
  return Number(text);
}
