#include "build/copy_job.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "build/content_digest.hpp"
#include "build/unpack_archive.hpp"
#include "runtime/rootfs.hpp"

namespace mlctr::build {
namespace {

using runtime::NodeKind;
using runtime::Rootfs;

constexpr int k_max_followed_links = 40;
constexpr std::uint64_t k_max_database_bytes = 8u << 20;

std::string base_name(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

std::string joined_path(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// Each source as it is named and as it was found; `name` of what is below it counts from it.
using Action = std::function<void(const std::string& named, const std::string& found)>;
void each_source(const CopyJob& job, const SourceTree& tree, const Action& action) {
  for (const std::string& word : job.sources) {
    for (const std::string& named : tree.expand(word)) {
      if (const auto found = tree.resolve(named)) action(named, *found);
    }
  }
}

std::string below(const std::string& path, const std::string& top) {
  if (path.size() <= top.size()) return "";
  return top.empty() ? path : path.substr(top.size() + 1);
}

class Excluded {
 public:
  explicit Excluded(const CopyJob& job) : patterns_(containerfile::IgnorePatterns::of(job.excludes)) {}
  bool operator()(const std::string& path) const { return !path.empty() && patterns_.is_ignored(path); }

 private:
  containerfile::IgnorePatterns patterns_;
};

std::optional<std::uint32_t> parse_id(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == UINT32_MAX) return std::nullopt;
  return id;
}

// Field `number` (from 0) of the line of `name` in passwd(5) or group(5).
std::optional<std::uint32_t> find_id(std::string_view database, std::string_view name, std::size_t number) {
  while (!database.empty()) {
    std::string_view line = database.substr(0, database.find('\n'));
    database.remove_prefix(std::min(line.size() + 1, database.size()));
    if (line.substr(0, line.find(':')) != name) continue;
    for (std::size_t i = 0; i < number; ++i) line.remove_prefix(std::min(line.find(':') + 1, line.size()));
    return parse_id(line.substr(0, line.find(':')));
  }
  return std::nullopt;
}

// "NAME|UID[:GROUP|GID]" by the rootfs's own databases.
FileOwner parse_owner(const std::string& text, const Rootfs& rootfs) {
  const std::size_t colon = text.find(':');
  const std::string user = text.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto lookup = [&](const char* file, const std::string& name, std::size_t field) {
    const std::string database = rootfs.read(file, k_max_database_bytes).value_or("");
    if (const auto id = find_id(database, name, field)) return *id;
    throw Error(fmt::format("--chown={}: no {} in the image's {}", printable(text), printable(name), file),
                "name one that is there, or give a number");
  };
  FileOwner owner;
  if (const auto id = parse_id(user)) {
    owner = {*id, *id};
  } else if (!user.empty()) {
    owner = {lookup("/etc/passwd", user, 2), lookup("/etc/passwd", user, 3)};
  }
  if (const auto id = parse_id(group)) {
    owner.gid = *id;
  } else if (!group.empty()) {
    owner.gid = lookup("/etc/group", group, 2);
  }
  return owner;
}

class Copier {
 public:
  Copier(const CopyJob& job, const SourceTree& tree, Fd root)
      : job_(job), tree_(tree), excluded_(job), rootfs_(std::move(root)) {
    if (job.owner) owner_ = parse_owner(*job.owner, rootfs_);
  }

  CopyResult run() {
    for (const auto& [name, content] : job_.contents) copy_content(name, content);
    each_source(job_, tree_, [this](const std::string& named, const std::string& found) { copy(named, found); });
    return {digest_.finish(), std::move(owners_)};
  }

 private:
  bool is_directory_destination() const {
    if (job_.kind == DestinationKind::directory) return true;
    const auto there = rootfs_.find(job_.destination, O_PATH);
    struct stat status {};
    return there && ::fstat(there->get(), &status) == 0 && S_ISDIR(status.st_mode);
  }

  void copy(const std::string& named, const std::string& found) {
    const SourceNode top = tree_.look_at(found);
    if (S_ISDIR(top.status.st_mode)) {
      copy_tree(named, found, job_.keeps_parents ? joined_path(job_.destination, named) : job_.destination);
    } else if (excluded_(base_name(named))) {
      return;
    } else if (job_.archives == ArchiveHandling::unpack && is_archive(tree_.open(found, O_RDONLY | O_NONBLOCK))) {
      digest_.add_file(named, top, tree_.open(found, O_RDONLY | O_NONBLOCK), {});
      make_directory(job_.destination);
      unpack_archive(tree_.open(found, O_RDONLY | O_NONBLOCK), found, rootfs_, without_slashes(job_.destination),
                     owners_);
    } else {
      const std::string name = job_.keeps_parents ? named : base_name(named);
      const bool is_inside = job_.keeps_parents || is_directory_destination();
      put(named, top, is_inside ? joined_path(job_.destination, name) : job_.destination);
    }
  }

  void copy_tree(const std::string& named, const std::string& top, const std::string& destination) {
    tree_.walk(top, [&](const SourceNode& node) {
      const std::string path = below(node.path, top);
      if (is_excluded(path)) return;
      const std::string target = path.empty() ? destination : joined_path(destination, path);
      const std::string name = path.empty() ? named : named + "/" + path;
      if (S_ISDIR(node.status.st_mode)) {
        digest_.add(name, node);
        put_directory(node, target, path.empty());
      } else {
        put(name, node, target);
      }
    });
  }

  // A directory that is left out takes along what is below it, unless an exception brings that back.
  bool is_excluded(const std::string& path) const { return excluded_(path); }

  void put_directory(const SourceNode& node, const std::string& target, bool is_top) {
    const std::string path = without_slashes(target);
    const bool was_there = is_there(path);
    make_directory(path);
    if (is_top && was_there) return;
    const auto made = rootfs_.find(path, O_RDONLY | O_DIRECTORY);
    const mode_t mode = mode_of(node.status.st_mode);
    if (!made || ::fchmod(made->get(), mode) != 0) throw SysError("cannot set the mode of " + printable(path, 4096));
    owners_[path] = owner_;
  }

  mode_t mode_of(mode_t source) const { return job_.mode ? job_.mode->apply(source) : source & 07777; }

  bool is_there(const std::string& path) const { return rootfs_.find(path, O_PATH).has_value(); }

  // Those that are missing become the step's own.
  void make_directory(const std::string& directory) {
    const std::string path = without_slashes(directory);
    for (std::string missing = path; !is_there(missing); missing = parent_of(missing)) owners_[missing] = owner_;
    rootfs_.make(path, NodeKind::directory);
  }

  void copy_content(const std::string& name, const std::string& content) {
    digest_.add_content(name, content);
    const std::string target =
        without_slashes(is_directory_destination() ? joined_path(job_.destination, name) : job_.destination);
    const Fd file = create(target, mode_of(S_IFREG | 0644));
    write_all(file.get(), std::as_bytes(std::span(content)), target);
  }

  void put(const std::string& name, const SourceNode& node, const std::string& destination) {
    const std::string target = without_slashes(destination);
    if (S_ISREG(node.status.st_mode)) {
      const Fd source = tree_.open(node.path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
      const Fd file = create(target, mode_of(node.status.st_mode));
      digest_.add_file(name, node, source,
                       [&](std::span<const std::byte> bytes) { write_all(file.get(), bytes, target); });
      return;
    }
    digest_.add(name, node);
    const auto [parent, leaf] = make_room(target);
    const mode_t mode = node.status.st_mode;
    int made = -1;
    if (S_ISLNK(mode)) {
      made = ::symlinkat(node.link.c_str(), parent.get(), leaf.c_str());
    } else if (S_ISFIFO(mode)) {
      made = ::mkfifoat(parent.get(), leaf.c_str(), mode & 07777);
    } else {
      throw Error(fmt::format("{} is a socket or a device", printable(node.path, 4096)), "leave it out of the context");
    }
    if (made != 0) throw SysError("cannot make " + printable(target, 4096));
  }

  Fd create(const std::string& target, mode_t mode) {
    const auto [parent, leaf] = make_room(follow(target, k_max_followed_links));
    Fd file(::openat(parent.get(), leaf.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file || ::fchmod(file.get(), mode) != 0) throw SysError("cannot write " + printable(target, 4096));
    return file;
  }

  // Where a name in the image is a link, what it leads to is written, whether that is there or not.
  std::string follow(const std::string& path, int links_left) const {
    const auto parent = rootfs_.find(parent_of(path), O_PATH | O_DIRECTORY);
    if (!parent) return path;
    std::string link(PATH_MAX, '\0');
    const ssize_t size = ::readlinkat(parent->get(), base_name(path).c_str(), link.data(), link.size());
    if (size < 0) return path;
    if (links_left == 0) throw SysError("cannot follow " + printable(path, 4096), ELOOP);
    link.resize(static_cast<std::size_t>(size));
    return follow(without_slashes(link.starts_with('/') ? link : joined_path(parent_of(path), link)), links_left - 1);
  }

  struct Room {
    Fd parent;
    std::string leaf;
  };
  // Parents made, and what has the name gone, unless it is a directory.
  Room make_room(const std::string& target) {
    make_directory(parent_of(target));
    owners_[target] = owner_;
    Fd parent = *rootfs_.find(parent_of(target), O_RDONLY | O_DIRECTORY);
    const std::string leaf = base_name(target);
    if (::unlinkat(parent.get(), leaf.c_str(), 0) != 0 && errno != ENOENT) {
      if (errno == EISDIR) throw Error(fmt::format("{} is a directory in the image", printable(target, 4096)));
      throw SysError("cannot replace " + printable(target, 4096));
    }
    return {std::move(parent), leaf};
  }

  const CopyJob& job_;
  const SourceTree& tree_;
  const Excluded excluded_;
  Rootfs rootfs_;
  FileOwner owner_;
  ContentDigest digest_;
  FileOwners owners_;
};

}  // namespace

Digest digest_sources(const CopyJob& job, const SourceTree& tree) {
  ContentDigest digest;
  const Excluded excluded(job);
  for (const auto& [name, content] : job.contents) digest.add_content(name, content);
  each_source(job, tree, [&](const std::string& named, const std::string& top) {
    tree.walk(top, [&](const SourceNode& node) {
      const std::string path = below(node.path, top);
      const std::string name = path.empty() ? named : named + "/" + path;
      if (excluded(path) || (path.empty() && !S_ISDIR(node.status.st_mode) && excluded(base_name(named)))) return;
      if (S_ISREG(node.status.st_mode)) {
        digest.add_file(name, node, tree.open(node.path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW), {});
      } else {
        digest.add(name, node);
      }
    });
  });
  return digest.finish();
}

CopyResult run_copy(const CopyJob& job, const SourceTree& tree, Fd root) {
  return Copier(job, tree, std::move(root)).run();
}

FileOwners make_directory_inside(const std::string& path, const std::string& owner, Fd root) {
  const Rootfs rootfs(std::move(root));
  FileOwners owners;
  const FileOwner user = owner.empty() ? FileOwner{} : parse_owner(owner, rootfs);
  for (std::string missing = without_slashes(path); !rootfs.find(missing, O_PATH); missing = parent_of(missing)) {
    owners[missing] = user;
  }
  rootfs.make(path, NodeKind::directory);
  return owners;
}

}  // namespace mlctr::build
