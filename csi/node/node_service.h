// The service Node of CSI (1.12, "Node Service RPC"): stages and publishes volumes on this node.
//
// Threads: handlers run on gRPC's threads, several at a time; concurrent calls on one volume answer ABORTED.
#pragma once

#include <memory>

#include "common/status/status.h"
#include "csi/options/csi_options.h"
#include "csi/v1/csi.grpc.pb.h"

namespace shima {

// `options.node` is set. What was left behind by an earlier process is looked at before this returns.
std::unique_ptr<::csi::v1::Node::Service> make_node_service(const CsiOptions& options);

// What Identity.Probe says of the node's part: ok, if this node's mounter answers within `timeout_ms`; else
// kUnavailable with the reason.
Status probe_mounter(const CsiOptions& options, int timeout_ms);

}  // namespace shima
