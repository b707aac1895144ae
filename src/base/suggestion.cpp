#include "base/suggestion.hpp"

#include <algorithm>

namespace mlctr {
namespace {

constexpr std::size_t k_longest = 64;  // of a word worth comparing: the cost is quadratic

// Optimal string alignment distance, three rows at a time.
std::size_t slips_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      const bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swap) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& words) {
  if (word.empty() || word.size() > k_longest) return {};
  const std::string* best = nullptr;
  std::size_t fewest = word.size() < 4 ? 2 : 3;  // beyond that, anything is near anything
  for (const std::string& candidate : words) {
    const bool is_start = word.size() > 1 && candidate.starts_with(word);
    const std::size_t slips = is_start ? 1 : slips_between(word, candidate);
    if (slips < fewest) {
      fewest = slips;
      best = &candidate;
    }
  }
  return best == nullptr ? std::string() : *best;
}

}  // namespace mlctr
