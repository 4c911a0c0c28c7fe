import type { SnapshotterCase } from "./case.ts";
import { abortCases } from "./cases/abort.ts";
import { attributeCases } from "./cases/attributes.ts";
import { checkCases } from "./cases/check.ts";
import { checkChangesCases } from "./cases/check-changes.ts";
import { cleanupCases } from "./cases/cleanup.ts";
import { commitCases } from "./cases/commit.ts";
import { concurrencyCases } from "./cases/concurrency.ts";
import { contentCases } from "./cases/contents.ts";
import { deletionCases } from "./cases/deletions.ts";
import { filterCases } from "./cases/filters.ts";
import { historyCases } from "./cases/history.ts";
import { idMappingCases } from "./cases/id-mapping.ts";
import { inUseCases } from "./cases/in-use.ts";
import { interruptCases } from "./cases/interrupt.ts";
import { keyCases } from "./cases/keys.ts";
import { labelCases } from "./cases/labels.ts";
import { layerCases } from "./cases/layers.ts";
import { lifeCases } from "./cases/life.ts";
import { lossCases } from "./cases/loss.ts";
import { mountsCases } from "./cases/mounts.ts";
import { prepareCases } from "./cases/prepare.ts";
import { rebaseCases } from "./cases/rebase.ts";
import { removeCases } from "./cases/remove.ts";
import { reopenCases } from "./cases/reopen.ts";
import { specialFileCases } from "./cases/special-files.ts";
import { updateCases } from "./cases/update.ts";
import { usageCases } from "./cases/usage.ts";
import { viewCases } from "./cases/views.ts";
import { walkCases } from "./cases/walk.ts";

/** The whole contract of a snapshotter. */
export const snapshotterCases: readonly SnapshotterCase[] = [
  ...lifeCases,
  ...prepareCases,
  ...commitCases,
  ...removeCases,
  ...mountsCases,
  ...keyCases,
  ...labelCases,
  ...updateCases,
  ...walkCases,
  ...filterCases,
  ...concurrencyCases,
  ...abortCases,
  ...interruptCases,
  ...reopenCases,
  ...cleanupCases,
  ...checkCases,
  ...checkChangesCases,
  ...lossCases,
  ...rebaseCases,
  ...layerCases,
  ...contentCases,
  ...deletionCases,
  ...viewCases,
  ...attributeCases,
  ...specialFileCases,
  ...historyCases,
  ...inUseCases,
  ...usageCases,
  ...idMappingCases,
];
