#include "app/quantity.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 14> k_sizes{{{"", 1},
                                        {"B", 1},
                                        {"K", 1'000},
                                        {"KB", 1'000},
                                        {"KiB", 1ull << 10},
                                        {"M", 1'000'000},
                                        {"MB", 1'000'000},
                                        {"MiB", 1ull << 20},
                                        {"G", 1'000'000'000},
                                        {"GB", 1'000'000'000},
                                        {"GiB", 1ull << 30},
                                        {"T", 1'000'000'000'000},
                                        {"TB", 1'000'000'000'000},
                                        {"TiB", 1ull << 40}}};
constexpr std::array<Unit, 5> k_durations{{{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// Digits with at most one point in them, then a unit; absent where that is not what it is, or where it is too much.
template <std::size_t N>
std::optional<std::uint64_t> parse_quantity(std::string_view text, const std::array<Unit, N>& units) {
  const std::size_t number_end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, number_end);
  std::string_view unit_name = text.substr(number_end);
  unit_name.remove_prefix(std::min(unit_name.find_first_not_of(' '), unit_name.size()));
  for (const Unit& unit : units) {
    if (!equals_ignoring_case(unit.name, unit_name)) continue;
    std::uint64_t whole = 0;
    const char* const end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, whole);
    if (error != std::errc() || whole > std::numeric_limits<std::int64_t>::max() / unit.factor) return std::nullopt;
    if (stop == end) return whole * unit.factor;
    double fraction = 0;
    const auto [fraction_stop, fraction_error] = std::from_chars(stop, end, fraction);
    if (fraction_error != std::errc() || fraction_stop != end) return std::nullopt;
    return whole * unit.factor + static_cast<std::uint64_t>(std::llround(fraction * static_cast<double>(unit.factor)));
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t parse_size(std::string_view text) {
  if (const auto bytes = parse_quantity(text, k_sizes)) return *bytes;
  throw UsageError(fmt::format("'{}' is no size", printable(text)), "write it like 50GiB, 500MB or 1048576 (bytes)");
}

std::chrono::seconds parse_duration(std::string_view text) {
  if (const auto seconds = parse_quantity(text, k_durations)) return std::chrono::seconds(*seconds);
  throw UsageError(fmt::format("'{}' is no duration", printable(text)),
                   "write it like 30s, 5m, 2h, 7d or 30 (seconds)");
}

std::string write_size(std::uint64_t bytes) {
  for (std::size_t i = k_sizes.size(); i-- > 2;) {
    const Unit& unit = k_sizes[i];
    const bool is_written = unit.name.size() > 1 && bytes != 0 && bytes % unit.factor == 0;
    if (is_written) return fmt::format("{}{}", bytes / unit.factor, unit.name);
  }
  return fmt::format("{}", bytes);
}

}  // namespace mlctr
