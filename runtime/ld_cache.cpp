#include "runtime/ld_cache.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/ascii.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::string_view k_old_magic = "ld.so-1.7.0", k_new_magic = "glibc-ld.so.cache1.1";
constexpr std::size_t k_old_header = 16, k_old_entry = 12, k_new_header = 48, k_new_entry = 24, k_section = 16;
constexpr std::uint32_t k_extension_magic = 0xEAA42174, k_hwcaps_tag = 1;
constexpr char k_little_endian = 2;
constexpr std::uint32_t k_max_entries = 200'000, k_max_cache_sections = 64, k_max_hwcaps = 1024;

template <class T>
std::optional<T> number_at(std::string_view bytes, std::uint64_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::optional<std::string> text_at(std::string_view bytes, std::uint64_t at) {
  if (at >= bytes.size()) return std::nullopt;
  const std::size_t end = bytes.find('\0', at);
  if (end == bytes.npos) return std::nullopt;
  return std::string(bytes.substr(at, end - at));
}

// The part that loaders of this century read.
std::optional<std::string_view> new_part(std::string_view bytes) {
  if (bytes.starts_with(k_old_magic)) {
    const auto count = number_at<std::uint32_t>(bytes, k_old_magic.size() + 1);
    if (!count || *count > k_max_entries) return std::nullopt;
    const std::size_t end = (k_old_header + std::size_t{*count} * k_old_entry + 7) / 8 * 8;
    if (end > bytes.size()) return std::nullopt;
    bytes.remove_prefix(end);
  }
  return bytes.starts_with(k_new_magic) ? std::optional(bytes) : std::nullopt;
}

std::optional<LdCacheEntry> entry_at(std::string_view bytes, std::uint64_t at) {
  const auto flags = number_at<std::int32_t>(bytes, at);
  const auto key = number_at<std::uint32_t>(bytes, at + 4), value = number_at<std::uint32_t>(bytes, at + 8);
  const auto os_version = number_at<std::uint32_t>(bytes, at + 12);
  const auto hwcap = number_at<std::uint64_t>(bytes, at + 16);
  if (!hwcap) return std::nullopt;
  auto name = text_at(bytes, *key), path = text_at(bytes, *value);
  if (!name || !path) return std::nullopt;
  return LdCacheEntry{*flags, std::move(*name), std::move(*path), *os_version, *hwcap};
}

std::optional<std::vector<std::string>> hwcap_names(std::string_view bytes, std::string_view section) {
  std::vector<std::string> names;
  if (section.size() / 4 > k_max_hwcaps) return std::nullopt;
  for (std::size_t at = 0; at + 4 <= section.size(); at += 4) {
    auto name = text_at(bytes, *number_at<std::uint32_t>(section, at));
    if (!name) return std::nullopt;
    names.push_back(std::move(*name));
  }
  return names;
}

bool read_extensions(std::string_view bytes, std::uint32_t at, LdCache& cache) {
  const auto magic = number_at<std::uint32_t>(bytes, at), count = number_at<std::uint32_t>(bytes, at + 4u);
  if (!count || magic != k_extension_magic || *count > k_max_cache_sections) return false;
  for (std::uint64_t each = at + 8u; each < at + 8u + *count * k_section; each += k_section) {
    const auto tag = number_at<std::uint32_t>(bytes, each);
    const auto offset = number_at<std::uint32_t>(bytes, each + 8), size = number_at<std::uint32_t>(bytes, each + 12);
    if (!size || *offset > bytes.size() || *size > bytes.size() - *offset) return false;
    const std::string_view section = bytes.substr(*offset, *size);
    if (tag != k_hwcaps_tag) {
      cache.extensions.push_back({*tag, std::string(section)});
    } else if (auto names = hwcap_names(bytes, section)) {
      cache.hwcap_names = std::move(*names);
    } else {
      return false;
    }
  }
  return true;
}

// As the loader's _dl_cache_libcmp: numbers as numbers, and a digit above anything else.
int compare(std::string_view left, std::string_view right) {
  const auto at = [](std::string_view text, std::size_t i) { return i < text.size() ? text[i] : '\0'; };
  std::size_t i = 0, j = 0;
  while (i < left.size()) {
    if (is_digit(left[i]) && is_digit(at(right, j))) {
      std::uint64_t a = 0, b = 0;
      while (is_digit(at(left, i))) a = a * 10 + static_cast<std::uint64_t>(left[i++] - '0');
      while (is_digit(at(right, j))) b = b * 10 + static_cast<std::uint64_t>(right[j++] - '0');
      // The loader counts in ints, which go around: names with more digits than that are in no order it would find.
      const auto x = static_cast<std::int32_t>(a), y = static_cast<std::int32_t>(b);
      if (x != y) return x < y ? -1 : 1;
    } else if (is_digit(left[i])) {
      return 1;
    } else if (is_digit(at(right, j))) {
      return -1;
    } else if (left[i] != at(right, j)) {
      return left[i] < at(right, j) ? -1 : 1;
    } else {
      ++i, ++j;
    }
  }
  return j < right.size() ? -1 : 0;
}

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Strings behind the entries, each once.
class StringTable {
 public:
  explicit StringTable(std::size_t offset) : offset_(offset) {}

  std::uint32_t add(const std::string& text) {
    const auto [found, is_new] = offsets_.try_emplace(text, static_cast<std::uint32_t>(offset_ + bytes_.size()));
    if (is_new) bytes_.append(text).push_back('\0');
    return found->second;
  }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  std::size_t offset_;
  std::map<std::string, std::uint32_t> offsets_;
  std::string bytes_;
};

std::string hwcaps_section(const std::vector<std::string>& names, StringTable& strings) {
  std::string section;
  for (const std::string& name : names) append(section, strings.add(name));
  return section;
}

std::string write_extensions(const std::vector<LdCacheExtension>& sections, std::size_t at) {
  std::string table, content;
  append(table, k_extension_magic);
  append(table, static_cast<std::uint32_t>(sections.size()));
  std::size_t offset = at + 8 + sections.size() * k_section;
  for (const LdCacheExtension& section : sections) {
    append(table, section.tag);
    append(table, std::uint32_t{0});
    append(table, static_cast<std::uint32_t>(offset + content.size()));
    append(table, static_cast<std::uint32_t>(section.bytes.size()));
    content += section.bytes;
    content.resize((content.size() + 3) / 4 * 4, '\0');
  }
  return table + content;
}

}  // namespace

bool is_lower_in_ld_cache(std::string_view left, std::string_view right) {
  return compare(left, right) < 0;
}

std::optional<LdCache> parse_ld_cache(std::string_view whole) {
  if (whole.size() > k_max_ld_cache_bytes) return std::nullopt;
  const auto part = new_part(whole);
  if (!part || part->size() < k_new_header) return std::nullopt;
  const std::string_view bytes = *part;
  const char order = bytes[28];
  if (order != 0 && order != k_little_endian) return std::nullopt;
  const std::uint32_t count = *number_at<std::uint32_t>(bytes, 20), extension = *number_at<std::uint32_t>(bytes, 32);
  if (count > k_max_entries) return std::nullopt;
  LdCache cache;
  for (std::uint64_t each = 0; each < count; ++each) {
    auto entry = entry_at(bytes, k_new_header + each * k_new_entry);
    if (!entry) return std::nullopt;
    cache.entries.push_back(std::move(*entry));
  }
  if (extension != 0 && !read_extensions(bytes, extension, cache)) return std::nullopt;
  return cache;
}

std::string write_ld_cache(LdCache cache) {
  std::ranges::stable_sort(cache.entries, [](const LdCacheEntry& left, const LdCacheEntry& right) {
    return is_lower_in_ld_cache(right.name, left.name);
  });
  StringTable strings(k_new_header + cache.entries.size() * k_new_entry);
  std::string entries;
  for (const LdCacheEntry& entry : cache.entries) {
    append(entries, entry.flags);
    append(entries, strings.add(entry.name));
    append(entries, strings.add(entry.path));
    append(entries, entry.os_version);
    append(entries, entry.hwcap);
  }
  std::vector<LdCacheExtension> sections = cache.extensions;
  if (!cache.hwcap_names.empty()) sections.push_back({k_hwcaps_tag, hwcaps_section(cache.hwcap_names, strings)});
  std::string tail = strings.bytes();
  std::size_t extension = 0;
  if (!sections.empty()) {
    tail.resize((tail.size() + 3) / 4 * 4, '\0');
    extension = k_new_header + entries.size() + tail.size();
    tail += write_extensions(sections, extension);
  }
  std::string bytes(k_new_magic);
  append(bytes, static_cast<std::uint32_t>(cache.entries.size()));
  append(bytes, static_cast<std::uint32_t>(strings.bytes().size()));
  bytes.append({k_little_endian, '\0', '\0', '\0'});
  append(bytes, static_cast<std::uint32_t>(extension));
  bytes.resize(k_new_header, '\0');
  return bytes + entries + tail;
}

}  // namespace mlctr::runtime
