#include "cli/age.hpp"

#include <chrono>

#include "cli/figures.hpp"

namespace mlctr::cli {

std::string age_of(std::int64_t time) {
  if (time == 0) return "-";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return format_age(std::chrono::duration_cast<std::chrono::seconds>(now) - std::chrono::seconds(time));
}

}  // namespace mlctr::cli
