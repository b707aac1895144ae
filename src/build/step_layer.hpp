// What a step changed -> a layer of the store, the same bytes on every machine and at any time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "build/copy_job.hpp"
#include "image/digest.hpp"
#include "squashfs/merge.hpp"
#include "store/store.hpp"

namespace mlctr::build {

/// clamped: what is younger than the build's time gets that time. fixed: all files do (those of a context, whose times
/// say when it was checked out).
enum class FileTimes { clamped, fixed };

struct StepChanges {
  std::filesystem::path upper;  ///< of the overlay
  std::uint32_t time = 0;       ///< the build's, seconds since 1970
  FileTimes times = FileTimes::clamped;
  FileOwners owners{};
  std::set<std::string> stubs{};  ///< paths that were made to mount something there
};

struct BuiltLayer {
  Digest diff_id;
  std::uint64_t tar_bytes = 0;
};

/// `below` is what it lay over. Absent where nothing changed. Left out: directories that are as they were, and stubs
/// that are as they were made. Throws Error, Cancelled.
std::optional<BuiltLayer> make_step_layer(const StepChanges& changes, const squashfs::Tree& below, Store& store,
                                          const squashfs::PackOptions& options, const std::stop_token& stop);

}  // namespace mlctr::build
