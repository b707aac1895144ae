#include "app/diff_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.hpp"

namespace mlctr {
namespace {

using packages::Package;
using PackageKey = std::pair<std::string, std::string>;

std::map<PackageKey, std::string> versions_of(const std::vector<Package>& packages) {
  std::map<PackageKey, std::string> versions;
  for (const Package& package : packages) {
    std::string& version = versions[{package.ecosystem, package.name}];
    if (!version.empty()) version += ", ";
    version += package.version;
  }
  return versions;
}

std::string_view name_of(FileKind kind) {
  switch (kind) {
    case FileKind::directory:
      return "directory";
    case FileKind::regular:
      return "file";
    case FileKind::symlink:
      return "symlink";
    case FileKind::character_device:
      return "character device";
    case FileKind::block_device:
      return "block device";
    case FileKind::fifo:
      return "fifo";
    case FileKind::socket:
      return "socket";
  }
  return "";
}

class Comparison {
 public:
  Comparison(const ImageFiles& before, const ImageFiles& after, const std::stop_token& stop)
      : before_(before),
        after_(after),
        stop_(stop),
        buffers_{std::vector<std::byte>(k_chunk), std::vector<std::byte>(k_chunk)} {}

  std::vector<FileChange> files() {
    std::vector<FileChange> changes;
    auto old = before_.entries().begin();
    auto now = after_.entries().begin();
    while (old != before_.entries().end() || now != after_.entries().end()) {
      if (stop_.stop_requested()) throw Cancelled();
      const bool is_removed =
          now == after_.entries().end() || (old != before_.entries().end() && old->first < now->first);
      const bool is_added = !is_removed && (old == before_.entries().end() || now->first < old->first);
      if (is_removed) {
        changes.push_back({(old++)->first, FileChange::Kind::removed});
      } else if (is_added) {
        changes.push_back({(now++)->first, FileChange::Kind::added});
      } else {
        std::vector<std::string> what = compare(now->first, old->second, now->second);
        if (!what.empty()) changes.push_back({now->first, FileChange::Kind::changed, std::move(what)});
        ++old, ++now;
      }
    }
    return changes;
  }

 private:
  static constexpr std::size_t k_chunk = 1u << 20;

  std::vector<std::string> compare(const std::string& path, const ImageEntry& old, const ImageEntry& now) {
    std::vector<std::string> what;
    if (old.kind != now.kind) {
      what.push_back(fmt::format("type {} -> {}", name_of(old.kind), name_of(now.kind)));
    } else if (old.target != now.target) {
      what.push_back(fmt::format("target {} -> {}", old.target, now.target));
    } else if (now.kind == FileKind::regular && has_other_content(path, old, now)) {
      what.emplace_back("content");
    }
    const bool has_mode = now.kind != FileKind::symlink && old.kind == now.kind;
    if (has_mode && old.permissions != now.permissions) {
      what.push_back(fmt::format("mode {:04o} -> {:04o}", old.permissions, now.permissions));
    }
    if (old.uid != now.uid || old.gid != now.gid) {
      what.push_back(fmt::format("owner {}:{} -> {}:{}", old.uid, old.gid, now.uid, now.gid));
    }
    return what;
  }

  bool has_other_content(const std::string& path, const ImageEntry& old, const ImageEntry& now) {
    if (old.size_bytes != now.size_bytes) return true;
    for (std::uint64_t at = 0; at < now.size_bytes; at += k_chunk) {
      if (stop_.stop_requested()) throw Cancelled();
      const std::size_t a = before_.read(path, at, buffers_[0]);
      const std::size_t b = after_.read(path, at, buffers_[1]);
      if (a != b ||
          !std::equal(buffers_[0].begin(), buffers_[0].begin() + static_cast<std::ptrdiff_t>(a), buffers_[1].begin()))
        return true;
      if (a == 0) break;
    }
    return false;
  }

  const ImageFiles& before_;
  const ImageFiles& after_;
  const std::stop_token& stop_;
  std::vector<std::byte> buffers_[2];
};

}  // namespace

std::vector<PackageChange> compare_packages(const std::vector<Package>& before, const std::vector<Package>& after) {
  std::map<PackageKey, std::pair<std::string, std::string>> both;
  for (auto& [key, version] : versions_of(before)) both[key].first = version;
  for (auto& [key, version] : versions_of(after)) both[key].second = version;
  std::vector<PackageChange> changes;
  for (const auto& [key, versions] : both) {
    if (versions.first != versions.second) changes.push_back({key.first, key.second, versions.first, versions.second});
  }
  return changes;
}

ImageDifference diff_images(const Configuration& configuration, std::string_view before, std::string_view after,
                            const std::stop_token& stop) {
  const ImageFiles old = open_files(configuration, before);
  const ImageFiles now = open_files(configuration, after);
  const packages::PackageList old_packages = old.packages();
  packages::PackageList now_packages = now.packages();
  ImageDifference difference{compare_packages(old_packages.packages, now_packages.packages),
                             Comparison(old, now, stop).files(), std::move(now_packages.unread)};
  for (const std::string& path : old_packages.unread) difference.unread_databases.push_back(path);
  std::sort(difference.unread_databases.begin(), difference.unread_databases.end());
  const auto end = std::unique(difference.unread_databases.begin(), difference.unread_databases.end());
  difference.unread_databases.erase(end, difference.unread_databases.end());
  return difference;
}

}  // namespace mlctr
