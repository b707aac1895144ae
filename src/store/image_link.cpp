#include "store/image_link.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "image/piece_name.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

bool is_same(const std::filesystem::path& one, const std::filesystem::path& other) {
  struct stat first {
  }, second{};
  return ::lstat(one.c_str(), &first) == 0 && ::lstat(other.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

std::optional<Digest> diff_id_of_piece(std::string_view name) {
  if (!name.ends_with(k_piece_suffix)) return std::nullopt;
  name.remove_suffix(k_piece_suffix.size());
  return parse_digest_name("sha256-" + std::string(name));
}

bool link_image(const std::filesystem::path& squashfs, const std::filesystem::path& link) {
  const std::filesystem::path file = std::filesystem::canonical(squashfs);
  const std::filesystem::path from = file.parent_path(), to = link.parent_path();
  std::vector<std::filesystem::path> made;
  const auto give = [&](const std::filesystem::path& one, const std::filesystem::path& name) {
    if (::link(one.c_str(), name.c_str()) != 0) return errno == EEXIST && is_same(one, name);  // another image's too
    made.push_back(name);
    return true;
  };
  bool is_whole = give(file, link);
  for (const std::string& name : list_directory(from)) {
    if (is_whole && diff_id_of_piece(name)) is_whole = give(from / name, to / name);
  }
  if (is_whole) return true;
  for (const auto& name : made) ::unlink(name.c_str());
  return false;
}

}  // namespace mlctr
