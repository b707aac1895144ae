// What is wrong with a layer's own bytes, as opposed to this machine: worth checking first whether the blob itself is
// wrong.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::squashfs {

/// The layer is not a valid compressed tar, or its tar holds what no image may hold.
class LayerError : public Error {
 public:
  using Error::Error;
};

/// The blob is not the one that its descriptor names, by digest or size: another source may have the right one.
class BlobError : public Error {
 public:
  using Error::Error;
};

/// The layer makes more of itself than the limits let it; the hint names the setting.
class LayerLimitError : public Error {
 public:
  using Error::Error;
};

/// A name from a layer as it may appear in a message.
inline std::string quote_name(std::string_view name) {
  return fmt::format("'{}'", printable(name));
}

}  // namespace mlctr::squashfs
