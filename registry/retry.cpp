#include "registry/retry.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

#include "base/ascii.hpp"
#include "base/number.hpp"

namespace mlctr {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds k_longest_backoff{30'000};

std::optional<unsigned> month_number(std::string_view name) {
  constexpr std::array<std::string_view, 12> k_months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto found = std::find(k_months.begin(), k_months.end(), name);
  if (found == k_months.end()) return std::nullopt;
  return static_cast<unsigned>(found - k_months.begin()) + 1;
}

}  // namespace

// By hand: strptime's names depend on the locale.
std::optional<std::time_t> parse_http_date(std::string_view text) {
  //        0123456789012345678901234567
  // "Sun, 06 Nov 1994 08:49:37 GMT"
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") return std::nullopt;
  if (text[7] != ' ' || text[11] != ' ' || text[16] != ' ' || text[19] != ':' || text[22] != ':') return std::nullopt;
  const auto day = parse_number<unsigned>(text.substr(5, 2));
  const auto month = month_number(text.substr(8, 3));
  const auto year = parse_number<int>(text.substr(12, 4));
  const auto hour = parse_number<unsigned>(text.substr(17, 2));
  const auto minute = parse_number<unsigned>(text.substr(20, 2));
  const auto second = parse_number<unsigned>(text.substr(23, 2));
  if (!day || !month || !year || !hour || !minute || !second) return std::nullopt;

  using namespace std::chrono;
  const year_month_day date{std::chrono::year(*year), std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto since_epoch = sys_days(date).time_since_epoch() + hours(*hour) + minutes(*minute) + seconds(*second);
  return static_cast<std::time_t>(duration_cast<seconds>(since_epoch).count());
}

std::optional<milliseconds> parse_retry_after(std::string_view value, std::time_t now) {
  // A number of seconds that overflows is as good as "never": a day stands for it.
  constexpr std::int64_t k_most_seconds = 86'400;
  value = trimmed(value);
  std::int64_t wait_seconds = 0;
  if (!value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos) {
    wait_seconds = value.size() > 9 ? k_most_seconds : *parse_number<std::int64_t>(value);
  } else if (const auto date = parse_http_date(value); date && *date > now) {
    wait_seconds = static_cast<std::int64_t>(*date - now);
  } else {
    return std::nullopt;
  }
  return milliseconds(1000 * std::min(wait_seconds, k_most_seconds));
}

double random_fraction() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

milliseconds backoff(unsigned failures, milliseconds first, double random) {
  milliseconds wait = std::min(first, k_longest_backoff);
  for (unsigned i = 1; i < failures && wait < k_longest_backoff; ++i) wait = std::min(wait * 2, k_longest_backoff);
  return milliseconds(static_cast<std::int64_t>(static_cast<double>(wait.count()) * (0.75 + 0.5 * random)));
}

bool is_retryable_status(long status) {
  switch (status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return true;
    default:
      return false;
  }
}

}  // namespace mlctr
