export { leaseFilter } from "./lease-filter.ts";
export { labelGcExpire, labelGcFlat, labelLeaseOwner } from "./labels.ts";
export type {
  CallOptions,
  CreateLeaseOptions,
  Lease,
  LeaseManager,
  LeaseResource,
  ListOptions,
} from "./lease-manager.ts";
