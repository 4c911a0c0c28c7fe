import type { LayerName } from "../layer/layers.ts";
import { blocked, cpu, peak, ratio, seconds } from "../sections/section.ts";
import type { Line, Section } from "../sections/section.ts";

export const layersUnderTest: readonly LayerName[] = ["debian", "modules"];

/** How many layers the large store has. */
const many = 5000;

const registerLines: readonly Line[] = layersUnderTest.flatMap((name) =>
  [`${name}.tar`, `${name}.tar.gz`].flatMap((file): Line[] => {
    const base = `${file}: unpack`;
    return [
      { name: base, task: `unpack ${file}`, size: 1, before: [`store ${file}`] },
      { name: `${file}: register`, task: `register ${file}`, size: 1, before: [`store ${file}`], base },
    ];
  }),
);

const streamLines: readonly Line[] = layersUnderTest.flatMap((name): Line[] => {
  const base = `${name}: tar -c`;
  const before = [`fill ${name}.tar`];
  return [
    { name: base, task: "tar-by-tar", size: 1, before },
    { name: `${name}: tarStream`, task: "tar-by-store", size: 1, before, base },
  ];
});

/** What a layer store does. */
export const layerStoreSections: readonly Section[] = [
  {
    title: "register a layer",
    columns: [
      seconds,
      cpu,
      ratio("× time of unpack", (run, base) => run.seconds / base.seconds),
      ratio("× CPU of unpack", (run, base) => run.cpuSeconds / base.cpuSeconds),
      blocked,
      peak,
    ],
    lines: registerLines,
  },
  {
    title: "read the tar of a layer",
    columns: [seconds, cpu, ratio("× speed of tar", (run, base) => base.seconds / run.seconds), blocked, peak],
    lines: streamLines,
  },
  {
    title: "a store of 5,000 layers",
    columns: [seconds, cpu, blocked, peak],
    lines: [
      { name: "open", task: "open", size: many, before: ["fill-many"] },
      { name: "list", task: "list", size: many, continues: true },
    ],
  },
];
