#include "cli/figures.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

namespace mlctr::cli {
namespace {

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array<Unit, 6> k_units{{{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}}};

// The largest unit in which `bytes` rounds to 1 or more: 999.6 kB is already "1.0 MB".
const Unit& unit_for(double bytes) {
  for (std::size_t i = k_units.size() - 1; i > 0; --i) {
    if (bytes >= 0.9995 * k_units[i].bytes) return k_units[i];
  }
  return k_units[0];
}

// Digits that people can use: MB whole from 10 up; GB and more with two decimals, then one, as they stand for so much.
int decimals(const Unit& unit, double value) {
  if (unit.bytes <= 1e3) return 0;
  if (unit.bytes == 1e6) return value < 9.95 ? 1 : 0;
  return value < 9.995 ? 2 : (value < 99.95 ? 1 : 0);
}

std::string in_unit(double bytes) {
  const Unit& unit = unit_for(bytes);
  const double value = bytes / unit.bytes;
  return fmt::format("{:.{}f} {}", value, decimals(unit, value), unit.name);
}

std::string minutes_and_more(std::chrono::seconds whole) {
  const auto seconds = whole.count();
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 100 * 3600) return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds % 86400 / 3600);
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  return in_unit(static_cast<double>(bytes));
}

std::string format_bytes_of(std::uint64_t part, std::uint64_t whole) {
  // MB up to 10 GB: the figure that moves stays visible.
  const bool is_large = whole >= 10'000'000'000;
  const double unit = is_large ? 1e9 : (whole < 1'000'000 ? 1e3 : 1e6);
  const int digits = is_large ? 2 : (whole >= 1'000'000 && whole < 99'950'000 ? 1 : 0);
  return fmt::format("{:.{}f}/{:.{}f} {}", static_cast<double>(part) / unit, digits, static_cast<double>(whole) / unit,
                     digits, is_large ? "GB" : (unit == 1e3 ? "kB" : "MB"));
}

std::string format_rate(double bytes_per_second) {
  if (bytes_per_second < 1e3) return "0 kB/s";
  return in_unit(bytes_per_second) + "/s";
}

std::string format_duration(std::chrono::duration<double> duration) {
  if (duration.count() < 9.95) return fmt::format("{:.1f} s", duration.count());
  return format_rough_duration(duration);
}

std::string format_rough_duration(std::chrono::duration<double> duration) {
  // An estimate can be absurd; what is over a thousand days says only that nothing moves.
  const double seconds = std::ceil(std::min(duration.count(), 86400.0 * 999));
  const std::chrono::seconds whole(static_cast<std::int64_t>(std::max(seconds, 0.0)));
  return whole.count() < 60 ? fmt::format("{} s", whole.count()) : minutes_and_more(whole);
}

std::string format_age(std::chrono::seconds age) {
  struct Step {
    std::string_view name;
    std::int64_t seconds;
  };
  constexpr std::array<Step, 7> k_steps{{{"year", 31557600},
                                         {"month", 2629800},
                                         {"week", 604800},
                                         {"day", 86400},
                                         {"hour", 3600},
                                         {"minute", 60},
                                         {"second", 1}}};
  for (const Step& step : k_steps) {
    const std::int64_t count = age.count() / step.seconds;
    // "9 days ago" says more than "1 week ago".
    if (count >= 2 || (count == 1 && step.seconds <= 86400)) {
      return fmt::format("{} {}{} ago", count, step.name, count == 1 ? "" : "s");
    }
  }
  return "just now";
}

}  // namespace mlctr::cli
