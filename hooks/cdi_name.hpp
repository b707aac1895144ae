// The full name of a CDI device. Source: CDI 1.1.0, "Kind" and "CDI Devices", and what its own parser takes.
//
//   name   = vendor "/" class "=" device
//   vendor, class: a letter, then letters, digits, "." "_" "-"; the last a letter or a digit
//   device: the same with ":" as well, and a digit may be the first
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mlctr::hooks {

/// "nvidia.com/gpu"
struct CdiKind {
  std::string vendor, device_class;

  static std::optional<CdiKind> parse(std::string_view text);
  std::string text() const { return vendor + "/" + device_class; }
  bool operator==(const CdiKind&) const = default;
};

/// "nvidia.com/gpu=0"
struct CdiName {
  CdiKind kind;
  std::string device;

  static std::optional<CdiName> parse(std::string_view text);
  std::string text() const { return kind.text() + "=" + device; }
  bool operator==(const CdiName&) const = default;
};

bool is_cdi_device_name(std::string_view text);

}  // namespace mlctr::hooks
