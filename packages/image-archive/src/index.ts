export { exportArchive } from "./export/export-archive.ts";
export { exportLayout } from "./layout/export-layout.ts";
export { importLayout } from "./layout/import-layout.ts";
export { importArchive } from "./import/import-archive.ts";
export type {
  ArchivedImage,
  ChildrenOptions,
  ExportArchiveOptions,
  ExportOptions,
  ImageToExport,
  ImportOptions,
  ImportStore,
  OnBlob,
} from "./image-archive.ts";
