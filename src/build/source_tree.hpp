// The files that COPY, ADD and RUN --mount=type=bind read: a build's context, or the root of a stage or image. Hostile:
// every path is resolved below the root and used by descriptor, and what is ignored is not there.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "containerfile/ignore_file.hpp"

namespace mlctr::build {

struct SourceNode {
  std::string path;  ///< below the root, "a/b"; empty: the root
  struct stat status {};
  std::string link;  ///< the target of a symlink
};

class SourceTree {
 public:
  using Visit = std::function<void(const SourceNode&)>;

  /// `name` is for messages: "the context".
  SourceTree(Fd root, std::string name, containerfile::IgnorePatterns ignored = {})
      : root_(std::move(root)), name_(std::move(name)), ignored_(std::move(ignored)) {}

  const std::string& name() const noexcept { return name_; }
  int fd() const noexcept { return root_.get(); }

  /// The paths that a source's word means, sorted; wildcards stop at '/'. Throws Error where there is none.
  std::vector<std::string> expand(const std::string& word) const;

  /// Where `path` leads, through symlinks, which never lead out of the root. Absent where there is nothing, or nothing
  /// to be seen.
  std::optional<std::string> resolve(const std::string& path) const;

  /// `top` (resolved) and all below it, parents first, names in order; links are not followed.
  void walk(const std::string& top, const Visit& visit) const;

  /// What is at the path itself. Throws SysError.
  SourceNode look_at(const std::string& path) const;
  /// open(2), no symlink on the way. Throws SysError.
  Fd open(const std::string& path, int flags) const;

 private:
  void walk_below(const SourceNode& directory, std::vector<SourceNode>& unseen, const Visit& visit) const;
  std::vector<std::string> names_in(const std::string& directory) const;
  void match(const std::vector<std::string>& patterns, std::size_t depth, const std::string& parent,
             std::vector<std::string>& found) const;

  Fd root_;
  std::string name_;
  containerfile::IgnorePatterns ignored_;
};

}  // namespace mlctr::build
