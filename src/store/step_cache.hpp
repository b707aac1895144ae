// What steps of builds made, by their keys: a step that was done need not be done again, here or on another node.
//
//   <store>/steps/<64 hex digits of the key>.json    {"layer": "sha256:…" | null, "tar_bytes": N}
//   <store>/locks/step-<those digits>.lock           held by who carries the step out
//
// An entry whose layer gc took is none any more. Its time is when it was used last.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "image/digest.hpp"
#include "store/file_time.hpp"
#include "store/store.hpp"

namespace mlctr {

struct CachedStep {
  std::optional<Digest> layer;  ///< absent: the step changed nothing
  std::uint64_t tar_bytes = 0;  ///< of the layer as a tar
};

struct CachedStepEntry {
  Digest key;
  std::optional<Digest> layer;
  FileTime last_used;
};

class StepCache {
 public:
  /// Borrows the store.
  explicit StepCache(Store& store) : store_(store) {}

  /// Marks entry and layer as used now. Absent where there is none, or a broken one.
  std::optional<CachedStep> find(const Digest& key) const;
  void put(const Digest& key, const CachedStep& step) const;
  [[nodiscard]] std::optional<Lock> try_lock(const Digest& key) const;

  std::vector<CachedStepEntry> entries() const;
  bool remove(const Digest& key) const;

 private:
  std::filesystem::path path_of(const Digest& key) const;

  Store& store_;
};

}  // namespace mlctr
