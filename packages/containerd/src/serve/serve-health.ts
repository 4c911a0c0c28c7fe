import type { ServiceImpl } from "@connectrpc/connect";
import { CodedError } from "@varve/errors";
import { HealthCheckResponse_ServingStatus } from "../gen/grpc/health/v1/health_pb.js";
import type { Health } from "../gen/grpc/health/v1/health_pb.js";

/** Says that what there is is served; the empty name stands for the server. */
export function serveHealth(services: ReadonlySet<string>): ServiceImpl<typeof Health> {
  return {
    check({ service }) {
      if (service === "" || services.has(service)) return { status: HealthCheckResponse_ServingStatus.SERVING };
      throw new CodedError("ERR_NOT_FOUND", `service ${service}: is not served`);
    },
  };
}
