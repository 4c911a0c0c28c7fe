import { existsSync } from "node:fs";
import { release } from "node:os";
import {
  AT_EMPTY_PATH,
  EBADF,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_IDMAP,
  close,
  isSupported,
  tryFsconfig,
  tryFsopen,
  tryMountSetattr,
} from "@varve/syscalls";

/** What the overlay filesystem of the running kernel can do. */
export interface OverlayFeatures {
  /**
   * `tried`: the filesystem was asked. `read`: this process may not ask it, or the kernel is older than 6.5 and would not
   * say; so this is what the kernel shows of the module, and what its version stands for.
   */
  readonly source: "tried" | "read";
  /** The option `index`. */
  readonly index: boolean;
  /** The option `metacopy`. */
  readonly metacopy: boolean;
  /** The option `redirect_dir=nofollow`. */
  readonly redirectDirectory: boolean;
  /** The option `userxattr` (Linux 5.11), which a user namespace needs. */
  readonly userXattr: boolean;
  /** The option `volatile` (5.10). */
  readonly volatile: boolean;
  /** Overlays of layers whose ids are mapped (5.19), if the filesystem they are on can be mapped. */
  readonly idMapping: boolean;
}

/** No overlay knows this option, so one that takes it takes any and says nothing. */
const nonsense = "varve-is-this-read";

/** Finds out what overlays can do here: takes a moment, needs no directory and no privilege, and leaves nothing behind. */
export function probeOverlay(): OverlayFeatures {
  return tried() ?? read();
}

/** Sets options of a filesystem that is never made. */
function tried(): OverlayFeatures | undefined {
  if (!isSupported()) return undefined;
  const context = tryFsopen("overlay", FSOPEN_CLOEXEC);
  if (context < 0) return undefined;
  try {
    const takes = (key: string, value?: string): boolean =>
      tryFsconfig(context, value === undefined ? { key } : { key, value }) === 0;
    if (takes(nonsense)) return undefined;
    return {
      source: "tried",
      index: takes("index", "off"),
      metacopy: takes("metacopy", "off"),
      redirectDirectory: takes("redirect_dir", "nofollow"),
      userXattr: takes("userxattr"),
      volatile: takes("volatile"),
      idMapping: mapsIds(),
    };
  } finally {
    close(context);
  }
}

/** Whether the kernel gets as far as to miss the user namespace. One that reads overlay options well maps layers too. */
function mapsIds(): boolean {
  const noNamespace = 0x7fff_ffff;
  return tryMountSetattr(-1, "", AT_EMPTY_PATH, { set: MOUNT_ATTR_IDMAP, userns: noNamespace }) === -EBADF;
}

function read(): OverlayFeatures {
  return {
    source: "read",
    index: hasParameter("index"),
    metacopy: hasParameter("metacopy"),
    redirectDirectory: hasParameter("redirect_dir"),
    userXattr: isFrom(5, 11),
    volatile: isFrom(5, 10),
    idMapping: isFrom(5, 19),
  };
}

/** A module that is not loaded yet shows nothing; it has had all of these since before Linux 5. */
function hasParameter(name: string): boolean {
  const parameters = "/sys/module/overlay/parameters";
  return existsSync(`${parameters}/${name}`) || (!existsSync(parameters) && isFrom(5, 0));
}

function isFrom(major: number, minor: number): boolean {
  const [first = 0, second = 0] = release()
    .split(".")
    .map((part) => Number.parseInt(part, 10));
  return first > major || (first === major && second >= minor);
}
