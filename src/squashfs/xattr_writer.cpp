#include "squashfs/xattr_writer.hpp"

#include <array>
#include <optional>
#include <string_view>

namespace mlctr::squashfs {
namespace {

struct SplitName {
  XattrPrefix prefix;
  std::string_view rest;
};

std::optional<SplitName> split(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, XattrPrefix>, 3> k_prefixes{
      {{"user.", XattrPrefix::user}, {"trusted.", XattrPrefix::trusted}, {"security.", XattrPrefix::security}}};
  for (const auto& [text, prefix] : k_prefixes) {
    if (name.starts_with(text) && name.size() > text.size()) return SplitName{prefix, name.substr(text.size())};
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t XattrWriter::add(const XattrSet& set) {
  Bytes bytes;
  std::uint32_t entries = 0;
  for (const auto& [name, value] : set) {
    const auto parts = split(name);
    if (!parts || parts->rest.size() > k_max_name_bytes) continue;
    put(bytes, static_cast<std::uint16_t>(parts->prefix));
    put(bytes, static_cast<std::uint16_t>(parts->rest.size()));
    put(bytes, std::as_bytes(std::span(parts->rest)));
    put(bytes, static_cast<std::uint32_t>(value.size()));
    put(bytes, std::as_bytes(std::span(value)));
    ++entries;
  }
  if (entries == 0) return k_no_xattrs;
  const auto [known, is_new] =
      known_.try_emplace(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                         static_cast<std::uint32_t>(known_.size()));
  if (is_new) {
    put(ids_, sets_.position().reference());
    put(ids_, entries);
    put(ids_, static_cast<std::uint32_t>(bytes.size()));
    sets_.append(bytes);
  }
  return known->second;
}

LookupTable XattrWriter::finish(std::uint64_t start) {
  Bytes bytes = sets_.finish();
  Bytes header;
  put(header, start);
  put(header, static_cast<std::uint32_t>(known_.size()));
  put(header, std::uint32_t{0});
  LookupTable ids = make_lookup_table(ids_, start + bytes.size(), compression_, header);
  put(bytes, ids.bytes);
  return {.bytes = std::move(bytes), .positions = ids.positions};
}

}  // namespace mlctr::squashfs
