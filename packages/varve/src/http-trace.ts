import type { RegistryExchange, RegistryNotice } from "@varve/client";
import { formatDuration } from "./format.ts";
import { printNote } from "./output.ts";

/** Prints one HTTP exchange on standard error, as curl shows them: what was sent, then what came. */
export function printExchange(exchange: RegistryExchange): void {
  const { method, url, status, error, durationMs } = exchange;
  printNote(`> ${method} ${url}`);
  printHeaders(">", exchange.requestHeaders);
  printNote(`< ${status ?? error ?? "no answer"} (${formatDuration(durationMs)})`);
  printHeaders("<", exchange.responseHeaders ?? {});
}

function printHeaders(side: ">" | "<", headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) printNote(`${side} ${name}: ${value}`);
}

/** Prints what a registry said besides its answers. */
export function printNotice(notice: RegistryNotice): void {
  if (notice.type === "warning") printNote(`${notice.host} warns: ${notice.text}`);
  else if (notice.type === "fallback") printNote(`${notice.host}: ${notice.reason}; asking ${notice.to}`);
  else if (notice.type === "retry") {
    printNote(`${notice.host}: ${notice.reason}; trying again in ${formatDuration(notice.delayMs)}`);
  } else if (notice.remaining !== undefined) {
    const window = notice.windowSeconds === undefined ? "" : ` in ${formatDuration(notice.windowSeconds * 1000)}`;
    printNote(`${notice.host}: ${notice.remaining} of ${notice.limit ?? "?"} pulls left${window}`);
  }
}
