#include "store/store_names.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace mlctr {

std::string digest_name(const Digest& digest) {
  return std::string(digest.algorithm_name()) + "-" + digest.hex();
}

std::optional<Digest> parse_digest_name(std::string_view name) {
  std::string text(name);
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos) return std::nullopt;
  text[dash] = ':';
  try {
    return Digest::parse(text);
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

std::vector<std::string> list_directory(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw SysError("cannot list " + directory.string(), error.value());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace mlctr
