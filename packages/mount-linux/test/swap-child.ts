import { AT_FDCWD, RENAME_EXCHANGE, tryRenameat2 } from "@varve/syscalls";

// Exchanges two names as fast as it can, until it is killed.
const [a = "", b = ""] = process.argv.slice(2);
process.stdout.write("swapping\n");
for (;;) tryRenameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
