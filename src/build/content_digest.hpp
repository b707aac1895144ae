// The digest of files to be copied: the same whether they are only looked at, or copied meanwhile.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "build/source_tree.hpp"
#include "build/step_key.hpp"

namespace mlctr::build {

class ContentDigest {
 public:
  using Write = std::function<void(std::span<const std::byte>)>;

  ContentDigest() : key_("content 1") {}

  /// `name`: what it is called where it goes.
  void add(std::string_view name, const SourceNode& node);
  /// A regular file, open; `write` gets its bytes (may be empty). Throws Error where its size changes meanwhile.
  void add_file(std::string_view name, const SourceNode& node, const Fd& file, const Write& write);
  void add_content(std::string_view name, std::string_view content);
  Digest finish() { return key_.finish(); }

 private:
  StepKey key_;
};

}  // namespace mlctr::build
