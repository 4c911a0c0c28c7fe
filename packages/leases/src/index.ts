export type { CallOptions, CreateLeaseOptions, Lease, LeaseManager, LeaseResource } from "./lease-manager.ts";
