import { cpu, peak, ratio, seconds } from "../sections/section.ts";
import type { Column, Line, Section } from "../sections/section.ts";
import { median } from "../table.ts";
import { layerNames } from "./layers.ts";

const columns = [
  seconds,
  cpu,
  ratio("× time of tar", (run, base) => run.seconds / base.seconds),
  ratio("× CPU of tar", (run, base) => run.cpuSeconds / base.cpuSeconds),
  peak,
];

const endings = [
  { ending: "tar", by: "tar -x" },
  { ending: "tar.gz", by: "gzip -dc, tar -x" },
  { ending: "tar.zst", by: "zstd -dc, tar -x" },
];

function applyLines(): readonly Line[] {
  return layerNames.flatMap((name) =>
    endings.flatMap(({ ending, by }): Line[] => {
      const file = `${name}.${ending}`;
      const base = `${file}: ${by}`;
      return [
        { name: base, task: `apply-by-tar ${file}`, size: 1 },
        { name: `${file}: varve`, task: `apply-by-differ ${file}`, size: 1, base },
        {
          name: `${file}: varve, not its first`,
          task: `apply-by-differ-again ${file}`,
          size: 1,
          base,
        },
      ];
    }),
  );
}

const packers = [
  { packing: "gzip", by: "tar -c, gzip -1", name: "varve, gzip level 1" },
  { packing: "zstd", by: "tar -c, zstd -3", name: "varve, zstd level 3" },
];

const packLines: readonly Line[] = layerNames.flatMap((layer) =>
  packers.flatMap(({ packing, by, name }): Line[] => {
    const base = `${layer}: ${by}`;
    const before = [`unpack ${layer}.tar`];
    return [
      { name: base, task: `pack-by-tar ${packing}`, size: 1, before },
      { name: `${layer}: ${name}`, task: `pack-by-differ ${packing}`, size: 2, before, base },
    ];
  }),
);

const megabytes: Column = { head: "MB", cell: (runs) => (median(runs.map((run) => run.count)) / 1e6).toFixed(1) };

/** What is done with layers. */
export const layerSections: readonly Section[] = [
  ...(["ext4", "tmpfs"] as const).map((filesystem) => ({
    title: `apply a layer on ${filesystem}`,
    filesystem,
    columns,
    lines: applyLines(),
  })),
  { title: "compare a tree with nothing, and write a layer", columns: [...columns, megabytes], lines: packLines },
];
