#include "runtime/renumbering.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace mlctr::runtime {
namespace {

std::optional<std::vector<unsigned>> numbers_in(std::string_view text) {
  std::vector<unsigned> numbers;
  while (!text.empty()) {
    unsigned number = 0;
    const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto size = static_cast<std::size_t>(end - text.data());
    if (mistake != std::errc{} || (size < text.size() && text[size] != ',')) return std::nullopt;
    numbers.push_back(number);
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return numbers;
}

}  // namespace

void renumber(Environment& environment, const std::vector<Renumbering>& renumberings) {
  for (const Renumbering& each : renumberings) {
    const auto found = environment.variables().find(each.variable);
    if (found == environment.variables().end() || found->second.origin != "host") continue;
    const auto outside = numbers_in(found->second.value);
    if (!outside || outside->empty()) continue;
    std::vector<unsigned> inside;
    for (const unsigned number : *outside) {
      const auto pair = std::ranges::find(each.numbers, number, &std::pair<unsigned, unsigned>::first);
      if (pair != each.numbers.end()) inside.push_back(pair->second);
    }
    if (inside.empty()) {
      environment.unset(each.variable);
    } else {
      environment.set(each.variable, fmt::format("{}", fmt::join(inside, ",")), fmt::format("host, {}", each.origin));
    }
  }
}

}  // namespace mlctr::runtime
