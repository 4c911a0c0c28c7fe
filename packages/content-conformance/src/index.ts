export type { CaseContext, ContentStoreCase, ContentStoreNeed, OpenOptions } from "./case.ts";
export { contentStoreCases } from "./cases.ts";
export { describeContentStore } from "./describe.ts";
export type { DescribeContentStoreOptions, TestFunction } from "./describe.ts";
export { coveredRows } from "./rows.ts";
export { runContentStoreCase } from "./run.ts";
export type { OpenContentStore } from "./run.ts";
