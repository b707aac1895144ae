// What names a step of a build in the cache: a hash over everything that its result depends on.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/hash.hpp"
#include "image/digest.hpp"

namespace mlctr::build {

/// Fields in a row, each with its length in front: no two different rows hash the same bytes.
class StepKey {
 public:
  explicit StepKey(std::string_view kind) { add(kind); }

  StepKey& add(std::string_view field);
  StepKey& add_number(std::uint64_t number);
  /// Call once.
  Digest finish();

 private:
  Hasher hasher_;
};

}  // namespace mlctr::build
