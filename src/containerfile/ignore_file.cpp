#include "containerfile/ignore_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/printable.hpp"
#include "containerfile/letters.hpp"
#include "containerfile/place.hpp"

namespace mlctr::containerfile {
namespace {

// Go's filepath.Clean, by the words of the path alone.
std::string cleaned(std::string_view path) {
  const bool is_absolute = path.starts_with('/');
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!is_absolute) {
      parts.push_back(part);
    }
  }
  std::string clean = fmt::format("{}{}", is_absolute ? "/" : "", fmt::join(parts, "/"));
  return clean.empty() ? "." : clean;
}

std::string_view first_part(std::string_view path) {
  return path.substr(0, path.find('/'));
}

void drop_first_part(std::string_view& path) {
  path.remove_prefix(std::min(first_part(path).size() + 1, path.size()));
}

}  // namespace

std::optional<IgnorePatterns::Pattern> IgnorePatterns::read_pattern(std::string_view text) {
  text = without_blanks_around(text);
  if (text.empty()) return std::nullopt;
  const bool is_exception = text.starts_with('!');
  if (is_exception) text = without_blanks_around(text.substr(1));
  std::string pattern = text.empty() ? std::string() : cleaned(text);
  if (pattern.starts_with('/')) pattern.erase(0, 1);
  if (pattern.empty()) {
    if (is_exception) throw Error("\"!\" without a pattern", "write !PATTERN on one line");
    return std::nullopt;
  }
  Wildcard wildcard = Wildcard::ignore_pattern(pattern);
  return Pattern{std::move(pattern), is_exception, std::move(wildcard)};
}

IgnorePatterns IgnorePatterns::parse(std::string_view text, std::string_view filename) {
  constexpr std::string_view k_byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(k_byte_order_mark)) text.remove_prefix(k_byte_order_mark.size());
  IgnorePatterns ignore;
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with('#')) continue;
    try {
      if (auto pattern = read_pattern(line)) ignore.patterns_.push_back(std::move(*pattern));
    } catch (const Error& error) {
      const auto column = static_cast<std::uint32_t>(line.size() - without_leading_blanks(line).size() + 1);
      throw SyntaxError(filename, {number, column}, error.message(), error.hint());
    }
  }
  return ignore;
}

IgnorePatterns IgnorePatterns::of(const std::vector<std::string>& patterns) {
  IgnorePatterns ignore;
  for (const std::string& text : patterns) {
    if (auto pattern = read_pattern(text)) ignore.patterns_.push_back(std::move(*pattern));
  }
  return ignore;
}

// Which patterns match `path` or matched a directory above it. One that could not change the outcome isn't looked at
// (an exception where nothing is ignored yet), and then doesn't count as matched further down: as BuildKit walks.
std::vector<bool> IgnorePatterns::matched_by(std::string_view path, const std::vector<bool>& parent) const {
  std::vector<bool> matched(patterns_.size());
  bool is_ignored = false;
  for (std::size_t i = 0; i < patterns_.size(); ++i) {
    const bool is_inherited = !parent.empty() && parent[i];
    const bool matters = patterns_[i].is_exception == is_ignored;
    matched[i] = is_inherited || (matters && patterns_[i].wildcard.matches(path));
    if (matched[i]) is_ignored = !patterns_[i].is_exception;
  }
  return matched;
}

bool IgnorePatterns::is_ignored(std::string_view path) const {
  std::vector<bool> matched;
  for (std::size_t end = path.find('/'); end != std::string_view::npos; end = path.find('/', end + 1)) {
    matched = matched_by(path.substr(0, end), matched);
  }
  matched = matched_by(path, matched);
  const auto last = std::find(matched.rbegin(), matched.rend(), true);
  return last != matched.rend() && !patterns_[static_cast<std::size_t>(matched.rend() - last) - 1].is_exception;
}

bool IgnorePatterns::may_hold_exceptions(std::string_view path) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& pattern) {
    if (!pattern.is_exception) return false;
    std::string_view wanted = pattern.text;
    for (std::string_view rest = path; !rest.empty() && !wanted.empty();
         drop_first_part(rest), drop_first_part(wanted)) {
      if (first_part(wanted).find("**") != std::string_view::npos) return true;
      if (!Wildcard::glob(first_part(wanted)).matches(first_part(rest))) return false;
    }
    return true;
  });
}

}  // namespace mlctr::containerfile
