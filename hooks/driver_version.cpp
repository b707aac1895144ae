#include "hooks/driver_version.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace mlctr::hooks {
namespace {

constexpr std::size_t k_max_parts = 8;

struct Branch {
  unsigned driver;
  const char* cuda;
};
// CUDA Toolkit release notes, "CUDA Toolkit and Corresponding Driver Versions".
constexpr std::array<Branch, 28> k_branches{
    {{384, "9.0"},  {387, "9.1"},  {390, "9.1"},  {396, "9.2"},  {410, "10.0"}, {418, "10.1"}, {440, "10.2"},
     {450, "11.0"}, {455, "11.1"}, {460, "11.2"}, {465, "11.3"}, {470, "11.4"}, {495, "11.5"}, {510, "11.6"},
     {515, "11.7"}, {520, "11.8"}, {525, "12.0"}, {530, "12.1"}, {535, "12.2"}, {545, "12.3"}, {550, "12.4"},
     {555, "12.5"}, {560, "12.6"}, {565, "12.7"}, {570, "12.8"}, {575, "12.9"}, {580, "13.0"}, {590, "13.1"}}};

bool is_of_version(char c) {
  return (c >= '0' && c <= '9') || c == '.';
}

}  // namespace

std::optional<DriverVersion> DriverVersion::parse(std::string_view text) {
  DriverVersion version;
  version.text_ = text;
  for (;;) {
    unsigned number = 0;
    const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (mistake != std::errc{} || version.numbers_.size() == k_max_parts) return std::nullopt;
    version.numbers_.push_back(number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) return version;
    if (text[0] != '.') return std::nullopt;
    text.remove_prefix(1);
  }
}

std::optional<DriverVersion> DriverVersion::find_in(std::string_view line) {
  for (std::size_t at = 0; at < line.size();) {
    if (!is_of_version(line[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < line.size() && is_of_version(line[end])) ++end;
    const bool is_word = (at == 0 || line[at - 1] == ' ' || line[at - 1] == '\t') &&
                         (end == line.size() || line[end] == ' ' || line[end] == '\n' || line[end] == '\t');
    if (auto version = parse(line.substr(at, end - at)); is_word && version && version->numbers_.size() > 1) {
      return version;
    }
    at = end;
  }
  return std::nullopt;
}

std::strong_ordering DriverVersion::operator<=>(const DriverVersion& other) const {
  const std::size_t parts = std::max(numbers_.size(), other.numbers_.size());
  for (std::size_t i = 0; i < parts; ++i) {
    const unsigned left = i < numbers_.size() ? numbers_[i] : 0;
    const unsigned right = i < other.numbers_.size() ? other.numbers_[i] : 0;
    if (left != right) return left <=> right;
  }
  return std::strong_ordering::equal;
}

std::optional<DriverVersion> cuda_of_driver(unsigned major) {
  for (const auto& branch : k_branches) {
    if (branch.driver == major) return DriverVersion::parse(branch.cuda);
  }
  return std::nullopt;
}

}  // namespace mlctr::hooks
