export type { CaseContext, ContentStoreCase, ContentStoreNeed } from "./case.ts";
export { contentStoreCases } from "./cases.ts";
export { describeContentStore } from "./describe.ts";
export type { DescribeContentStoreOptions, TestFunction } from "./describe.ts";
export { runContentStoreCase } from "./run.ts";
export type { OpenContentStore } from "./run.ts";
