// A source of ADD that is a git repository, as BuildKit's reference writes it: URL[#REF[:DIRECTORY]], where URL is
// git://…, ssh://…, USER@HOST:PATH, or http(s)://….git.
#pragma once

#include <optional>
#include <string>

namespace mlctr::build {

struct GitSource {
  std::string url;
  std::string reference;  ///< a branch, a tag or a commit's whole hash; "HEAD" where none is named
  std::string directory;  ///< inside the repository; "." is all of it
};

/// Absent where it is no repository. Throws Error where it is one that is not to be asked for: with a password in it,
/// with a reference or a directory that could mean something else to git or to us.
std::optional<GitSource> parse_git_source(const std::string& text);

}  // namespace mlctr::build
