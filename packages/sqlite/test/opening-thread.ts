// A thread that opens the database in a directory, reads it and closes it again.
import { workerData } from "node:worker_threads";
import { names, openIn } from "./temp.ts";

const { path }: { path: string } = workerData;
const database = await openIn(path);
await names(database);
database.close();
