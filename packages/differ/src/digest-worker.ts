import { hashRing } from "./hash-ring.ts";
import { serveJobs } from "./serve-jobs.ts";

// A thread of its own: where sha256 has no instructions it takes as long as inflating (D6), and writing takes its time anyway.
serveJobs(hashRing);
