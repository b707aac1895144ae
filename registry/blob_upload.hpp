// A blob's upload in chunks (OCI distribution spec, "Pushing a blob in chunks").
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>

#include "registry/place.hpp"
#include "registry/push_client.hpp"
#include "registry/transport.hpp"

namespace mlctr {

/// POSTs for an upload. `transport` and `place` outlive it.
std::unique_ptr<BlobUpload> begin_blob_upload(Transport& transport, Place& place, const PushSettings& settings,
                                              std::function<void(std::uint64_t)> on_sent, std::stop_token stop);

}  // namespace mlctr
