import type { SnapshotterCase } from "./case.ts";
import { abortCases } from "./cases/abort.ts";
import { attributeCases } from "./cases/attributes.ts";
import { capabilityCases } from "./cases/capabilities.ts";
import { concurrencyCases } from "./cases/concurrency.ts";
import { contentCases } from "./cases/contents.ts";
import { labelCases } from "./cases/labels.ts";
import { lifeCases } from "./cases/life.ts";
import { usageCases } from "./cases/usage.ts";
import { walkCases } from "./cases/walk.ts";

/** The whole contract of a snapshotter. */
export const snapshotterCases: readonly SnapshotterCase[] = [
  ...lifeCases,
  ...labelCases,
  ...walkCases,
  ...concurrencyCases,
  ...abortCases,
  ...capabilityCases,
  ...contentCases,
  ...attributeCases,
  ...usageCases,
];
