#include "store/container_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "store/image_link.hpp"
#include "store/overlay_directories.hpp"
#include "store/remove_tree.hpp"
#include "store/store_names.hpp"
#include "store/store_root.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_max_name_bytes = 64;
constexpr std::uint64_t k_max_record_bytes = 64u << 10;
constexpr std::time_t k_abandoned_after_s = 3600;  // making one takes milliseconds
constexpr std::string_view k_new = ".new-", k_removed = ".removed-";

bool is_name_character(char c) {
  return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
}

std::string to_json(const ContainerRecord& record) {
  nlohmann::ordered_json json{{"name", record.name},
                              {"image", record.image},
                              {"manifest_digest", record.manifest_digest},
                              {"created_at", record.created_at},
                              {"file_changed_at", record.file_changed_at}};
  if (!record.job.empty()) json["job"] = record.job;
  return json.dump(2);
}

ContainerRecord parse_record(const std::filesystem::path& file) {
  const auto json = nlohmann::json::parse(read_file(file, k_max_record_bytes), nullptr, /*allow_exceptions=*/false);
  try {
    return {.name = json.at("name"),
            .image = json.at("image"),
            .manifest_digest = json.at("manifest_digest"),
            .created_at = json.at("created_at"),
            .file_changed_at = json.value("file_changed_at", std::int64_t{0}),
            .job = json.value("job", "")};
  } catch (const nlohmann::json::exception&) {
    throw Error(fmt::format("{} is not a container's record", file.string()),
                fmt::format("`mlctr rm {}` removes the container", file.parent_path().filename().string()));
  }
}

void name_image(const std::filesystem::path& squashfs, const std::filesystem::path& name) {
  if (link_image(squashfs, name)) return;
  const auto file = std::filesystem::canonical(squashfs);
  if (::symlink(file.c_str(), name.c_str()) != 0) throw SysError("cannot make " + name.string());
}

// Removed by the destructor unless it was given its name.
class NewDirectory {
 public:
  explicit NewDirectory(const std::filesystem::path& root) : path_(root / (std::string(k_new) + random_suffix())) {
    if (::mkdir(path_.c_str(), 0700) != 0) {
      throw SysError("cannot make a container in " + root.string());
    }
  }
  ~NewDirectory() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  // False where there is something of that name.
  bool commit(const std::filesystem::path& place) {
    // A container's directory is never empty, and so never replaced (rename(2)).
    if (::rename(path_.c_str(), place.c_str()) == 0) {
      path_.clear();
      sync_directory(place.parent_path());
      return true;
    }
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) return false;
    throw SysError("cannot make the container " + place.string());
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::int64_t file_changed_at(const std::filesystem::path& file) {
  constexpr std::int64_t k_nanoseconds = 1'000'000'000;
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return 0;
  return status.st_mtim.tv_sec * k_nanoseconds + status.st_mtim.tv_nsec;
}

bool is_container_name(std::string_view name) {
  return !name.empty() && name.size() <= k_max_name_bytes && is_alphanumeric(name[0]) &&
         std::ranges::all_of(name, is_name_character);
}

void check_container_name(std::string_view name) {
  if (is_container_name(name)) return;
  throw UsageError(
      fmt::format("'{}' can't be a container's name", printable(name, 80)),
      fmt::format("a name is 1 to {} letters, digits, '_', '.' or '-', a letter or digit first", k_max_name_bytes));
}

StoredContainer ContainerStore::at(std::string_view name) const {
  const std::filesystem::path directory = root_ / name;
  return {.record = parse_record(directory / "container.json"),
          .squashfs = directory / "image.sqsh",
          .config = directory / "config.json",
          .upper = directory / "upper",
          .work = directory / "work",
          .copy = directory / "copy"};
}

bool ContainerStore::has(std::string_view name) const {
  std::error_code error;
  return is_container_name(name) && std::filesystem::is_directory(root_ / name, error);
}

std::optional<StoredContainer> ContainerStore::find(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  return at(name);
}

std::optional<StoredContainer> ContainerStore::create(const ContainerRecord& record,
                                                      const std::filesystem::path& squashfs,
                                                      std::string_view config) const {
  check_container_name(record.name);
  create_store_root(root_);
  check_store_is_private(root_);
  NewDirectory made(root_);
  make_overlay_directories(made.path());
  name_image(squashfs, made.path() / "image.sqsh");
  write_file_atomically(made.path() / "config.json", config);
  write_file_atomically(made.path() / "container.json", to_json(record));
  if (!made.commit(root_ / record.name)) return std::nullopt;
  return at(record.name);
}

ContainerListing ContainerStore::list() const {
  ContainerListing listing;
  for (const std::string& name : list_directory(root_)) {
    if (!is_container_name(name)) continue;
    try {
      listing.containers.push_back(at(name));
    } catch (const Error& error) {
      listing.broken.push_back({root_ / name, error.message()});
    }
  }
  return listing;
}

ImageUsers ContainerStore::users_of(const std::filesystem::path& squashfs) const {
  ImageUsers users;
  std::error_code error;
  const auto file = std::filesystem::canonical(squashfs, error);
  struct stat image {};
  if (error || ::stat(file.c_str(), &image) != 0) return users;
  for (const std::string& name : list_directory(root_)) {
    const auto link = root_ / name / "image.sqsh";
    struct stat status {};
    if (!is_container_name(name) || ::lstat(link.c_str(), &status) != 0) continue;
    if (S_ISLNK(status.st_mode)) {
      if (std::filesystem::read_symlink(link, error) == file) users.dependent.push_back(name);
    } else if (status.st_dev == image.st_dev && status.st_ino == image.st_ino) {
      users.linked.push_back(name);
    }
  }
  return users;
}

std::optional<std::filesystem::path> ContainerStore::set_aside(std::string_view name) const {
  if (!is_container_name(name)) return std::nullopt;
  std::filesystem::path aside = root_ / (std::string(k_removed) + random_suffix());
  if (::rename((root_ / name).c_str(), aside.c_str()) == 0) return aside;
  if (errno == ENOENT) return std::nullopt;
  throw SysError(fmt::format("cannot remove the container {}", name));
}

void ContainerStore::remove_aside(const std::filesystem::path& aside) const {
  remove_tree(aside);
}

std::vector<std::filesystem::path> ContainerStore::leftovers() const {
  std::vector<std::filesystem::path> found;
  for (const std::string& name : list_directory(root_)) {
    struct stat status {};
    const bool is_old =
        ::lstat((root_ / name).c_str(), &status) == 0 && status.st_mtime < ::time(nullptr) - k_abandoned_after_s;
    if (name.starts_with(k_removed) || (name.starts_with(k_new) && is_old)) found.push_back(root_ / name);
  }
  return found;
}

}  // namespace mlctr
