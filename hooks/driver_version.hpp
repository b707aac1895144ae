// A dotted version, compared number by number: 535.54.03 < 535.104.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::hooks {

class DriverVersion {
 public:
  DriverVersion() = default;

  /// Absent where `text` is none: digits and dots only.
  static std::optional<DriverVersion> parse(std::string_view text);
  /// The first "N.N" or "N.N.N" in a line of other words; absent where there is none.
  static std::optional<DriverVersion> find_in(std::string_view line);

  const std::string& text() const noexcept { return text_; }
  unsigned major() const noexcept { return numbers_.empty() ? 0 : numbers_[0]; }

  /// Missing numbers are 0: 470 equals 470.0.
  std::strong_ordering operator<=>(const DriverVersion& other) const;
  bool operator==(const DriverVersion& other) const { return (*this <=> other) == 0; }

 private:
  std::string text_;
  std::vector<unsigned> numbers_;
};

/// The newest CUDA that a driver of this branch has, "12.2" for 535; absent for one that is not known.
std::optional<DriverVersion> cuda_of_driver(unsigned major);

}  // namespace mlctr::hooks
