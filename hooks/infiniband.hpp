// InfiniBand and its kin (RoCE, EFA, Omni-Path's verbs), of any vendor: the nodes that user space verbs open. The
// libraries are the image's. Source: the kernel's Documentation/infiniband/user_verbs.rst, rdma-core; the variable is
// enroot's.
#pragma once

#include <cstdint>

#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// All devices where MELLANOX_VISIBLE_DEVICES does not say otherwise: all | none | void | a comma list of places
/// and names (mlx5_0). `locked_bytes`: how much memory a program may lock; UINT64_MAX: any. Throws Error: an unknown one.
Edits plan_infiniband(const HostView& host, const HookRequest& request, std::uint64_t locked_bytes);

/// The same with this process's limit.
Edits infiniband_edits(const HostView& host, const HookRequest& request);

}  // namespace mlctr::hooks
