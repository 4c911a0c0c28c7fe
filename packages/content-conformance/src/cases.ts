import type { ContentStoreCase } from "./case.ts";
import { abortCases } from "./cases/abort.ts";
import { commitCases } from "./cases/commit.ts";
import { filterCases } from "./cases/filters.ts";
import { followCases } from "./cases/follow.ts";
import { interruptCases } from "./cases/interrupt.ts";
import { labelCases } from "./cases/labels.ts";
import { lifeCases } from "./cases/life.ts";
import { manageCases } from "./cases/manage.ts";
import { quarantineCases } from "./cases/quarantine.ts";
import { readCases } from "./cases/read.ts";
import { refCases } from "./cases/refs.ts";
import { resumeCases } from "./cases/resume.ts";
import { takeoverCases } from "./cases/takeover.ts";
import { writeCases } from "./cases/write.ts";

/** The whole contract of a content store. */
export const contentStoreCases: readonly ContentStoreCase[] = [
  ...writeCases,
  ...commitCases,
  ...refCases,
  ...resumeCases,
  ...abortCases,
  ...interruptCases,
  ...readCases,
  ...manageCases,
  ...filterCases,
  ...followCases,
  ...labelCases,
  ...quarantineCases,
  ...takeoverCases,
  ...lifeCases,
];
