#include "app/host_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mlctr {
namespace {

constexpr std::size_t k_most_hosts = 100'000;

// "7", "07-11": with the zeros that the first has.
std::vector<std::string> expand_range(std::string_view range) {
  const std::string_view first = range.substr(0, range.find('-'));
  unsigned long begin = 0, end = 0;
  const auto number = [](std::string_view text, unsigned long& into) {
    const auto [stop, mistake] = std::from_chars(text.data(), text.data() + text.size(), into);
    return mistake == std::errc{} && stop == text.data() + text.size();
  };
  if (first.size() == range.size() || !number(first, begin) || !number(range.substr(first.size() + 1), end)) {
    return {std::string(first)};
  }
  std::vector<std::string> numbers;
  for (unsigned long i = begin; i <= end && numbers.size() < k_most_hosts; ++i) {
    numbers.push_back(fmt::format("{:0{}}", i, first.size()));
  }
  return numbers;
}

std::vector<std::string> expand_ranges(std::string_view ranges) {
  std::vector<std::string> numbers;
  while (!ranges.empty() && numbers.size() < k_most_hosts) {
    const std::string_view range = ranges.substr(0, ranges.find(','));
    ranges.remove_prefix(std::min(range.size() + 1, ranges.size()));
    for (std::string& number : expand_range(range)) numbers.push_back(std::move(number));
  }
  return numbers;
}

// Each beginning with each ending.
std::vector<std::string> joined(const std::vector<std::string>& beginnings, const std::vector<std::string>& endings) {
  std::vector<std::string> all;
  for (const std::string& beginning : beginnings) {
    for (const std::string& ending : endings) {
      if (all.size() < k_most_hosts) all.push_back(beginning + ending);
    }
  }
  return all;
}

// Up to the first comma outside of brackets.
std::string_view first_element(std::string_view list) {
  bool in_brackets = false;
  for (std::size_t at = 0; at < list.size(); ++at) {
    if (list[at] == '[') in_brackets = true;
    if (list[at] == ']') in_brackets = false;
    if (list[at] == ',' && !in_brackets) return list.substr(0, at);
  }
  return list;
}

std::vector<std::string> expand_element(std::string_view element) {
  std::vector<std::string> hosts{""};
  while (!element.empty()) {
    const std::size_t open = std::min(element.find('['), element.size());
    if (open > 0) {
      hosts = joined(hosts, {std::string(element.substr(0, open))});
      element.remove_prefix(open);
      continue;
    }
    const std::size_t close = std::min(element.find(']'), element.size());
    hosts = joined(hosts, expand_ranges(element.substr(1, close - 1)));
    element.remove_prefix(std::min(close + 1, element.size()));
  }
  return hosts;
}

}  // namespace

std::string first_host(std::string_view node_list) {
  const std::vector<std::string> hosts = expand_element(first_element(node_list));
  return hosts.empty() ? "" : hosts.front();
}

std::vector<std::string> expand_hosts(std::string_view node_list) {
  std::vector<std::string> hosts;
  while (!node_list.empty() && hosts.size() < k_most_hosts) {
    const std::string_view element = first_element(node_list);
    node_list.remove_prefix(std::min(element.size() + 1, node_list.size()));
    for (std::string& host : expand_element(element)) {
      if (!host.empty()) hosts.push_back(std::move(host));
    }
  }
  return hosts;
}

}  // namespace mlctr
