#include <algorithm>

#include "packages/package.hpp"

namespace mlctr::packages {
namespace {

constexpr std::uint64_t k_max_database_bytes = 64u << 20;
constexpr std::uint64_t k_max_record_bytes = 4u << 20;  // METADATA has the whole README in it

std::string_view directory_of(std::string_view path) {
  return path.substr(0, path.rfind('/') + 1);
}

bool is_rpm_database(std::string_view path) {
  for (const std::string_view directory : {"/var/lib/rpm/", "/usr/lib/sysimage/rpm/"}) {
    if (!path.starts_with(directory)) continue;
    const std::string_view name = path.substr(directory.size());
    return name == "rpmdb.sqlite" || name == "Packages" || name == "Packages.db";
  }
  return false;
}

class Search {
 public:
  explicit Search(const ReadFile& read) : read_(read) {}

  void look_at(const std::string& path) {
    if (path.find("/_vendor/") != std::string::npos) return;  // a part of the package that brought it
    if (path == "/var/lib/dpkg/status" ||
        (path.starts_with("/var/lib/dpkg/status.d/") && !path.ends_with(".md5sums"))) {
      add_database(path, parse_dpkg_status);
    } else if (path == "/lib/apk/db/installed" || path == "/usr/lib/apk/db/installed") {
      add_database(path, parse_apk_installed);
    } else if (is_rpm_database(path)) {
      list_.unread.push_back(path);
    } else if (path.ends_with(".dist-info/METADATA") || path.ends_with(".egg-info/PKG-INFO") ||
               path.ends_with(".egg-info")) {
      add_python(path);
    } else if (path.ends_with(".json") && directory_of(path).ends_with("/conda-meta/")) {
      add(path, read_(path, k_max_record_bytes), parse_conda_record);
    }
  }

  PackageList found() {
    std::sort(list_.packages.begin(), list_.packages.end());
    list_.packages.erase(std::unique(list_.packages.begin(), list_.packages.end()), list_.packages.end());
    return std::move(list_);
  }

 private:
  void add_database(const std::string& path, std::vector<Package> (*parse)(std::string_view)) {
    const auto text = read_(path, k_max_database_bytes);
    if (!text) return list_.unread.push_back(path);
    for (Package& package : parse(*text)) list_.packages.push_back(std::move(package));
  }

  template <typename Parse>
  void add(const std::string& path, const std::optional<std::string>& text, const Parse& parse) {
    std::optional<Package> package = text ? parse(*text) : std::nullopt;
    if (!package) return list_.unread.push_back(path);
    list_.packages.push_back(std::move(*package));
  }

  void add_python(const std::string& path) {
    const auto direct_url = read_(std::string(directory_of(path)) + "direct_url.json", k_max_record_bytes);
    add(path, read_(path, k_max_record_bytes),
        [&](std::string_view text) { return parse_python_metadata(text, direct_url.value_or("")); });
  }

  const ReadFile& read_;
  PackageList list_;
};

}  // namespace

PackageList find_packages(const std::vector<std::string>& files, const ReadFile& read) {
  Search search(read);
  for (const std::string& path : files) search.look_at(path);
  return search.found();
}

}  // namespace mlctr::packages
