#include "app/build_place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>

#include "app/find_image.hpp"
#include "app/open_stores.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/leftovers.hpp"
#include "base/printable.hpp"
#include "store/image_link.hpp"
#include "store/remove_tree.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_running = ".build-", k_target = "build:";
constexpr const char *k_caches = ".build-caches", *k_failed = ".build-failed";
constexpr std::size_t k_kept_failures = 5;
constexpr std::size_t k_id_digits = 8;

void make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw SysError("cannot make " + path.string(), error.value());
  ::chmod(path.c_str(), 0700);
}

// The oldest go.
void forget_failures(const std::filesystem::path& directory) {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> found;
  for (const std::string& name : list_directory(directory)) {
    std::error_code error;
    found.emplace_back(std::filesystem::last_write_time(directory / name, error), directory / name);
  }
  std::ranges::sort(found);
  for (std::size_t i = 0; i + k_kept_failures <= found.size(); ++i) remove_tree(found[i].second);
}

}  // namespace

BuildPlace::BuildPlace(const Configuration& configuration) : containers_(open_containers(configuration).root()) {
  std::filesystem::create_directories(containers_);
  for (const auto& leftover : find_leftovers(containers_, k_running)) remove_tree(leftover);
  path_ = containers_ / leftover_name(k_running);
  if (::mkdir(path_.c_str(), 0700) != 0) throw SysError("cannot make " + path_.string());
  held_ = open_file(path_, O_RDONLY | O_DIRECTORY);
  hold_leftover(held_.get());
  make_directory(caches());
}

BuildPlace::~BuildPlace() {
  try {
    remove_tree(path_);
  } catch (const Error&) {
    // What is left here, the next build removes.
  }
}

std::filesystem::path BuildPlace::caches() const {
  return containers_ / k_caches;
}

std::filesystem::path BuildPlace::hold_image(const std::filesystem::path& squashfs) {
  const std::filesystem::path held = path_ / fmt::format("image-{}.sqsh", images_++);
  return link_image(squashfs, held) ? held : squashfs;
}

std::string BuildPlace::keep_failed(const build::FailedStep& step, const Store& store) {
  const std::filesystem::path failed = containers_ / k_failed;
  make_directory(failed);
  forget_failures(failed);
  const std::string id = random_suffix().substr(0, k_id_digits);
  const auto stack = build::stack_of(step.below, store, path_, {});
  if (!link_image(stack[0], step.directory / "image.sqsh")) {
    std::filesystem::create_symlink(stack[0], step.directory / "image.sqsh");
  }
  nlohmann::json layers = nlohmann::json::array();
  for (std::size_t i = 1; i < stack.size(); ++i) layers.push_back(stack[i].string());
  write_file_atomically(step.directory / "step.json", nlohmann::json{{"step", step.label}, {"layers", layers}}.dump(
                                                          -1, ' ', false, nlohmann::json::error_handler_t::replace));
  write_file_atomically(step.directory / "config.json", step.config);
  rename_file(step.directory, failed / id);
  return id;
}

std::vector<BuildRemnant> list_build_remnants(const std::filesystem::path& containers, std::chrono::seconds age) {
  std::vector<BuildRemnant> remnants;
  for (const auto& leftover : find_leftovers(containers, k_running)) {
    remnants.push_back({BuildRemnant::Kind::killed, leftover});
  }
  const auto add_old = [&](BuildRemnant::Kind kind, const char* directory, const char* dated_by) {
    for (const std::string& name : list_directory(containers / directory)) {
      const std::filesystem::path path = containers / directory / name;
      const Fd file(::open((path / dated_by).c_str(), O_RDONLY | O_CLOEXEC));
      struct stat status {};
      if (!file || ::fstat(file.get(), &status) != 0 || status.st_mtime > std::time(nullptr) - age.count()) continue;
      if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) remnants.push_back({kind, path});
    }
  };
  add_old(BuildRemnant::Kind::failed, k_failed, "step.json");
  add_old(BuildRemnant::Kind::cache, k_caches, "in_use");
  return remnants;
}

std::optional<RunSubject> find_failed_step(const Configuration& configuration, std::string_view text) {
  if (!text.starts_with(k_target)) return std::nullopt;
  const std::string id(text.substr(k_target.size()));
  // Any other is a tag of an image that is called so.
  if (id.size() != k_id_digits || id.find_first_not_of("0123456789abcdef") != id.npos) return std::nullopt;
  const std::filesystem::path directory = open_containers(configuration).root() / k_failed / id;
  if (!std::filesystem::exists(directory / "step.json")) {
    if (find_image(configuration, text)) return std::nullopt;
    throw Error(fmt::format("no failed step {} is kept here", printable(text)),
                "only the last few are; the build tells which it was when it fails");
  }
  const auto json = nlohmann::json::parse(read_file(directory / "step.json"));
  RunSubject subject;
  subject.image = {.reference = std::string(text),
                   .manifest_digest = {},
                   .squashfs = directory / "image.sqsh",
                   .config_body = read_file(directory / "config.json")};
  for (const auto& layer : json.at("layers")) {
    const std::filesystem::path path(layer.get<std::string>());
    if (!std::filesystem::exists(path)) {
      throw Error(fmt::format("a layer that {} lay over is gone", printable(text)), "build again");
    }
    subject.layers.push_back(path);
  }
  subject.container =
      StoredContainer{.record = {.name = "build-" + id, .image = std::string(text), .manifest_digest = {}},
                      .squashfs = subject.image.squashfs,
                      .config = directory / "config.json",
                      .upper = directory / "upper",
                      .work = directory / "work",
                      .copy = {}};
  return subject;
}

}  // namespace mlctr
