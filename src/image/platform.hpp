// The platform an image is for, and the choice of the best entry of an index (containerd's rules for variants).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

struct Platform {
  std::string os;            ///< "linux"
  std::string architecture;  ///< Go's names: amd64, arm64, ppc64le …
  std::string variant;       ///< "v8", "v7", "v3"; empty where there is none
  std::string os_version;

  /// Of this machine.
  static Platform host();
  /// "amd64", "arm64/v8", "linux/arm/v7"; uname's names (x86_64, aarch64) are taken too. Throws UsageError.
  static Platform parse(std::string_view text);

  /// "linux/arm64/v8"
  std::string to_string() const;
  bool operator==(const Platform&) const = default;
};

/// How well an image for `offered` runs on `wanted`: 0 not at all, more is better (an exact variant over an older one).
int platform_score(const Platform& wanted, const Platform& offered);

}  // namespace mlctr
