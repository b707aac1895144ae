// The use case `mlctr gc`: removes what nothing needs. Safe beside running pulls: whatever is locked stays.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "store/store.hpp"

namespace mlctr {

struct GarbageRequest {
  enum class Effect { remove, report };  ///< report: says what would go, changes nothing
  Effect effect = Effect::remove;
  std::optional<std::uint64_t> max_layer_bytes;  ///< instead of gc.layer_cache; 0 empties the layer cache
  std::string ended_job{};  ///< containers of this Slurm job's have ended; empty: of those that Slurm knows no more
};

struct RemovedEntry {
  enum class Kind {
    image,
    layer,
    reference,
    partial_download,
    temporary,
    unpacked_image,
    container_leftover,
    job_container,
    build_step,
    build_leftover,
    build_cache
  };
  Kind kind = Kind::layer;
  std::string name;         ///< a digest, a canonical reference or a file name
  std::uint64_t bytes = 0;  ///< allocated
};

struct GarbageReport {
  std::vector<RemovedEntry> removed;  ///< or what would be, in the order of removal
  std::uint64_t freed_bytes = 0;
  std::uint64_t layers_bytes = 0;  ///< the layer cache afterwards
  std::size_t in_use = 0;          ///< entries that would have gone but are locked by a running pull
  std::vector<BrokenEntry> broken;
};

/// Images that only containers of this node need stay. The sockets that killed servers left go as well.
GarbageReport collect_garbage(const Configuration& configuration, const GarbageRequest& request, std::stop_token stop);

}  // namespace mlctr
