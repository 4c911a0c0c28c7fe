export { compileFilters } from "./compile-filters.ts";
export type { Fields } from "./compile-filters.ts";
export { mapField } from "./map-field.ts";
export { parseFilter } from "./parse-filter.ts";
export type { Selector } from "./parse-filter.ts";
