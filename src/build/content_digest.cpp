#include "build/content_digest.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"

namespace mlctr::build {
namespace {

constexpr std::size_t k_read_bytes = 256u << 10;

}  // namespace

void ContentDigest::add(std::string_view name, const SourceNode& node) {
  key_.add(name).add_number(node.status.st_mode);
  if (S_ISLNK(node.status.st_mode)) key_.add(node.link);
}

void ContentDigest::add_file(std::string_view name, const SourceNode& node, const Fd& file, const Write& write) {
  add(name, node);
  Hasher hasher;
  thread_local std::vector<std::byte> buffer(k_read_bytes);
  std::uint64_t size = 0;
  for (;;) {
    const std::size_t got = read_at(file.get(), buffer, size, node.path);
    if (got == 0) break;
    const auto part = std::span<const std::byte>(buffer).first(got);
    hasher.update(part);
    if (write) write(part);
    size += got;
  }
  if (size != static_cast<std::uint64_t>(node.status.st_size)) {
    throw Error(fmt::format("{} changed while it was read", printable(node.path, 4096)),
                "build again when nothing writes there");
  }
  key_.add(hasher.finish_hex());
}

void ContentDigest::add_content(std::string_view name, std::string_view content) {
  key_.add(name).add(content);
}

}  // namespace mlctr::build
