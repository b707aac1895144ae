#include "build/source_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "containerfile/glob.hpp"
#include "runtime/syscalls.hpp"

namespace mlctr::build {
namespace {

constexpr int k_max_links = 40;  // as Linux allows in one path
constexpr std::size_t k_max_depth = 2048;

std::string joined(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, slash);
    if (!name.empty() && name != ".") names.emplace_back(name);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return names;
}

std::string path_of(const std::vector<std::string>& names) {
  std::string path;
  for (const std::string& name : names) path = joined(path, name);
  return path;
}

std::string target_of(const Fd& link) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(link.get(), "", target.data(), target.size());
  if (size < 0) throw SysError("cannot read a link");
  target.resize(static_cast<std::size_t>(size));
  return target;
}

bool is_absent(int errno_value) {
  return errno_value == ENOENT || errno_value == ENOTDIR;
}

}  // namespace

Fd SourceTree::open(const std::string& path, int flags) const {
  const open_how how{.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC),
                     .mode = 0,
                     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  Fd fd(runtime::openat2(root_.get(), path.empty() ? "." : path.c_str(), how));
  if (!fd) {
    SysError error(fmt::format("cannot read {} in {}", printable(path.empty() ? "/" : path, 4096), name_));
    if (error.errno_value() == EACCES) error.add_hint("its mode, or that of a directory above it, keeps you out");
    throw error;
  }
  return fd;
}

SourceNode SourceTree::look_at(const std::string& path) const {
  const Fd fd = open(path, O_PATH | O_NOFOLLOW);
  SourceNode node{.path = path, .status = {}, .link = {}};
  if (::fstat(fd.get(), &node.status) != 0) throw SysError("cannot look at " + printable(path, 4096));
  if (S_ISLNK(node.status.st_mode)) node.link = target_of(fd);
  return node;
}

std::optional<std::string> SourceTree::resolve(const std::string& path) const {
  const std::vector<std::string> words = components(path);
  std::deque<std::string> pending(words.begin(), words.end());
  std::vector<std::string> reached;
  int links = 0;
  while (!pending.empty()) {
    const std::string name = std::move(pending.front());
    pending.pop_front();
    if (name == "..") {
      if (!reached.empty()) reached.pop_back();
      continue;
    }
    reached.push_back(name);
    SourceNode node;
    try {
      node = look_at(path_of(reached));
    } catch (const SysError& error) {
      if (is_absent(error.errno_value())) return std::nullopt;
      throw;
    }
    if (!S_ISLNK(node.status.st_mode)) continue;
    if (++links > k_max_links) throw SysError(fmt::format("cannot follow {}", printable(path, 4096)), ELOOP);
    reached.pop_back();
    if (node.link.starts_with('/')) reached.clear();
    const std::vector<std::string> target = components(node.link);
    pending.insert(pending.begin(), target.begin(), target.end());
  }
  std::string found = path_of(reached);
  if (!found.empty() && ignored_.is_ignored(found) && !ignored_.may_hold_exceptions(found)) return std::nullopt;
  return found;
}

std::vector<std::string> SourceTree::names_in(const std::string& directory) const {
  Fd fd = open(directory, O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), ::closedir);
  if (!stream) throw SysError("cannot list " + printable(directory, 4096));
  fd.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) throw SysError("cannot list " + printable(directory, 4096));
  std::ranges::sort(names);
  return names;
}

void SourceTree::match(const std::vector<std::string>& patterns, std::size_t depth, const std::string& parent,
                       std::vector<std::string>& found) const {
  if (depth == patterns.size()) {
    found.push_back(parent);
    return;
  }
  const std::string& pattern = patterns[depth];
  if (!containerfile::has_wildcard(pattern)) {
    const std::string path = pattern == ".." ? parent : joined(parent, pattern);
    if (resolve(path)) match(patterns, depth + 1, path, found);
    return;
  }
  const auto directory = resolve(parent);
  if (!directory || !S_ISDIR(look_at(*directory).status.st_mode)) return;
  for (const std::string& name : names_in(*directory)) {
    const std::string path = joined(parent, name);
    if (containerfile::matches_glob(pattern, name) &&
        !(ignored_.is_ignored(path) && !ignored_.may_hold_exceptions(path))) {
      match(patterns, depth + 1, path, found);
    }
  }
}

std::vector<std::string> SourceTree::expand(const std::string& word) const {
  std::vector<std::string> found;
  std::vector<std::string> names;
  for (std::string& name : components(word)) {
    if (name == "..") {  // "../x" is "x": nothing leads out of the root
      if (!names.empty()) names.pop_back();
    } else {
      names.push_back(std::move(name));
    }
  }
  match(names, 0, "", found);
  if (!found.empty()) return found;
  throw Error(fmt::format("{} is not in {}", printable(word, 4096), name_),
              ignored_.is_empty() ? "paths begin at the root of it" : "the ignore file may leave it out");
}

void SourceTree::walk(const std::string& top, const Visit& visit) const {
  std::vector<SourceNode> unseen;
  const SourceNode node = look_at(top);
  const bool is_ignored = !top.empty() && ignored_.is_ignored(top);
  if (!S_ISDIR(node.status.st_mode)) {
    if (!is_ignored) visit(node);
    return;
  }
  if (is_ignored) {
    unseen.push_back(node);
  } else {
    visit(node);
  }
  walk_below(node, unseen, visit);
}

// `unseen`: ignored directories on the way, visited once something in them is there all the same.
void SourceTree::walk_below(const SourceNode& directory, std::vector<SourceNode>& unseen, const Visit& visit) const {
  if (static_cast<std::size_t>(std::ranges::count(directory.path, '/')) > k_max_depth) {
    throw Error(fmt::format("{} lies more than {} directories deep", printable(directory.path), k_max_depth));
  }
  for (const std::string& name : names_in(directory.path)) {
    const std::string path = joined(directory.path, name);
    const bool is_ignored = ignored_.is_ignored(path);
    if (is_ignored && !ignored_.may_hold_exceptions(path)) continue;
    const SourceNode node = look_at(path);
    const bool is_directory = S_ISDIR(node.status.st_mode);
    if (is_ignored && !is_directory) continue;
    const std::size_t unseen_before = unseen.size();
    if (is_ignored) {
      unseen.push_back(node);
    } else {
      for (const SourceNode& parent : std::exchange(unseen, {})) visit(parent);
      visit(node);
    }
    if (is_directory) walk_below(node, unseen, visit);
    if (unseen.size() > unseen_before) unseen.resize(unseen_before);
  }
}

}  // namespace mlctr::build
