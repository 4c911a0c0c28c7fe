// Windows Server 2022: from it on a host runs the containers of this and every later build up to its own
// (Microsoft, "Windows container version compatibility"); before it builds must be equal.
const firstStableBuild = 20348;

/** Whether a host of version `wanted` runs an image made for `version`; an unknown version on either side is no obstacle. */
export function windowsVersionMatches(wanted: string, version: string): boolean {
  const host = buildOf(wanted);
  if (host === undefined || version === "") return true;
  const image = buildOf(version);
  if (image === undefined || host.release !== image.release) return false;
  if (host.build < firstStableBuild) return host.build === image.build;
  return image.build >= firstStableBuild && image.build <= host.build;
}

/** Orders dotted numbers: `10.0.9` before `10.0.17763`. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".", 8).map(Number);
  const right = b.split(".", 8).map(Number);
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0 && !Number.isNaN(difference)) return Math.sign(difference);
  }
  return 0;
}

function buildOf(version: string): { readonly release: string; readonly build: number } | undefined {
  const [, release, build] = /^([0-9]{1,3}\.[0-9]{1,3})\.([0-9]{1,5})(?:\.|$)/.exec(version) ?? [];
  return release === undefined || build === undefined ? undefined : { release, build: Number(build) };
}
