import type { ContentStoreCase } from "./case.ts";
import { abortCases } from "./cases/abort.ts";
import { commitCases } from "./cases/commit.ts";
import { followCases } from "./cases/follow.ts";
import { labelCases } from "./cases/labels.ts";
import { lifeCases } from "./cases/life.ts";
import { manageCases } from "./cases/manage.ts";
import { readCases } from "./cases/read.ts";
import { refCases } from "./cases/refs.ts";
import { resumeCases } from "./cases/resume.ts";
import { writeCases } from "./cases/write.ts";

/** The whole contract of a content store. */
export const contentStoreCases: readonly ContentStoreCase[] = [
  ...writeCases,
  ...commitCases,
  ...refCases,
  ...resumeCases,
  ...abortCases,
  ...readCases,
  ...manageCases,
  ...followCases,
  ...labelCases,
  ...lifeCases,
];
