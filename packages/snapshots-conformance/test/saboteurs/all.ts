import type { Saboteurs } from "../sabotage.ts";
import { capabilitySaboteurs } from "./capabilities.ts";
import { fileSaboteurs } from "./files.ts";
import { changeSaboteurs } from "./changes.ts";
import { idSaboteurs } from "./ids.ts";
import { interruptionSaboteurs } from "./interruptions.ts";
import { labelSaboteurs } from "./labels.ts";
import { nameSaboteurs } from "./names.ts";
import { raceSaboteurs } from "./races.ts";
import { recordSaboteurs } from "./records.ts";
import { useSaboteurs } from "./use.ts";
import { walkSaboteurs } from "./walks.ts";

/** For each case a way to break the contract that only a run of that case needs to notice. */
export const saboteurs: Saboteurs = {
  ...recordSaboteurs,
  ...nameSaboteurs,
  ...labelSaboteurs,
  ...walkSaboteurs,
  ...raceSaboteurs,
  ...interruptionSaboteurs,
  ...capabilitySaboteurs,
  ...changeSaboteurs,
  ...idSaboteurs,
  ...fileSaboteurs,
  ...useSaboteurs,
};
