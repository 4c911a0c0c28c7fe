import type { Layer } from "./build/layer.ts";
import type { Refusal } from "./types.ts";

/**
 * One line for each thing that an error lacks: its code, the rule or limit in brackets at its end, the entry's name, and an
 * offset that lies in the part of the layer that is wrong.
 */
export function problemsWith(thrown: unknown, { refused, rule, entry }: Refusal, layer: Layer): string[] {
  if (!(thrown instanceof Error)) return [`not refused with ${refused}`];
  const { message } = thrown;
  const code = "code" in thrown ? thrown.code : undefined;
  const problems = [
    code === refused ? undefined : `code ${String(code)} instead of ${refused}`,
    message.endsWith(`(${rule})`) ? undefined : `rule ${rule} is not named`,
    entry === undefined || message.includes(`entry "${shortened(entry)}`)
      ? undefined
      : `entry ${shortened(entry)} is not named`,
    isInside(offsetIn(message), layer) ? undefined : `no offset within ${String(layer.suspect)}`,
  ];
  return problems.filter((problem) => problem !== undefined).map((problem) => `${problem}: ${message.slice(0, 400)}`);
}

// Long names are cut in the middle.
function shortened(name: string): string {
  return name.slice(0, 100);
}

function offsetIn(message: string): number | undefined {
  const match = /at byte (\d+)/.exec(message);
  return match === null ? undefined : Number(match[1]);
}

function isInside(offset: number | undefined, { suspect }: Layer): boolean {
  return offset !== undefined && (suspect === undefined || (offset >= suspect[0] && offset <= suspect[1]));
}
