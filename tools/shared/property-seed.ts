// Runs before each test file. Properties are tried with the same values in every run, so that a change is not judged by another's luck;
// `VARVE_SEED` chooses others, and runs that are longer than usual take new ones each time.
import { configureGlobal } from "fast-check";

const { VARVE_FUZZ_RUNS: runs, VARVE_SEED: asked, VARVE_THOROUGH: thorough } = process.env;
if (asked !== undefined) configureGlobal({ seed: Number(asked) });
else if (runs === undefined && thorough !== "1") configureGlobal({ seed: 1 });
