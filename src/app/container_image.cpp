#include "app/container_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "app/driver_traces.hpp"
#include "app/named_container.hpp"
#include "app/overlay_marks.hpp"
#include "app/own_files.hpp"
#include "app/rootfs_fallback.hpp"
#include "app/run_target.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "app/version.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "image/config.hpp"
#include "image/json_value.hpp"
#include "image/manifest.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/identity.hpp"
#include "squashfs/merge.hpp"

namespace mlctr {
namespace {

using nlohmann::ordered_json;
using squashfs::AddedFile;

constexpr std::uint64_t k_max_provenance_bytes = 64u << 10;  // it holds all of the base's: a chain has to end somewhere

// Null where there is none worth keeping: it is only as good as whoever made the image.
ordered_json base_provenance(const OwnFiles& base) {
  const std::string body = base.read("provenance.json");
  try {
    check_json_limits(body, {.max_bytes = k_max_provenance_bytes});
  } catch (const Error&) {
    return nullptr;
  }
  ordered_json json = ordered_json::parse(body, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : ordered_json();
}

// A file's path would be this host's.
std::string portable_reference(const ContainerRecord& record) {
  const bool is_file = record.manifest_digest.empty();
  return is_file ? std::filesystem::path(record.image).filename().string() : record.image;
}

std::string write_provenance(const ContainerRecord& record, const OwnFiles& base, const CommitMaker& maker) {
  ordered_json json{{"reference", portable_reference(record)},
                    {"manifest_digest", record.manifest_digest},
                    {"container", record.name},
                    {"base", base_provenance(base)},
                    {"mlctr_version", k_version}};
  if (!maker.user.empty()) json["user"] = maker.user;
  if (!maker.created.empty()) json["created"] = maker.created;
  return json.dump(2, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace) + "\n";
}

// How to run it stays; what the layers were is not true of the new image.
std::string own_config(const std::string& base_config) {
  parse_image_config(base_config);  // bounded, and an object
  ordered_json json = ordered_json::parse(base_config);
  json["rootfs"] = {{"type", "layers"}, {"diff_ids", ordered_json::array()}};
  json.erase("history");
  return json.dump();
}

void refuse_running(const ContainerStore& containers, const std::string& name) {
  const RuntimeDirectory directory = open_runtime_directory();
  const auto answer = ask_named_container(directory, containers, name, runtime::k_describe);
  if (!answer) return;
  const std::vector<pid_t> pids = parse_description(answer->text).pids;
  if (pids.empty()) return;  // its server is about to end
  throw Error(fmt::format("{} process{} in it (pid {}…), which may change files at any time", pids.size(),
                          pids.size() == 1 ? " is" : "es are", pids[0]),
              "save it when they have ended, or --live takes it as it is now");
}

// There is no telling what in it was changed.
void refuse_copy(const StoredContainer& container) {
  if (find_copy(container) == runtime::CopyState::absent) return;
  throw Error("its files are in an unpacked copy of its image, as this machine had no overlays for it",
              fmt::format("mksquashfs {} FILE.sqsh -all-root makes an image of them", container.copy.string()));
}

// overlayfs makes <work>/work anew at every mount (ovl_workdir_create): whether it is the same one tells whether the
// container was started since.
using WorkId = std::tuple<ino_t, time_t, long>;
WorkId look_at_work(const StoredContainer& container) {
  struct stat status {};
  if (::lstat((container.work / "work").c_str(), &status) != 0) return {};  // never started
  return {status.st_ino, status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
}

}  // namespace

void read_files_as_owner() {
  if (::geteuid() == 0) return;
  try {
    // The first process of a user namespace has all capabilities over its one user's files, CAP_DAC_OVERRIDE included.
    runtime::enter_new_namespaces(runtime::current_identity(runtime::Remap::none), 0);
  } catch (const Error&) {
    // Most containers have no such file, and one that has says so by name.
  }
}

squashfs::UpperDirectory changes_of(const StoredContainer& container) {
  return {open_file(container.upper, O_RDONLY | O_DIRECTORY), container.upper, mask_driver_traces(container)};
}

squashfs::PackOptions pack_options(const Configuration& configuration) {
  return {.threads = configuration.threads > 0 ? configuration.threads : std::thread::hardware_concurrency(),
          .compression_level = configuration.compression_level,
          .limits = {.max_uncompressed_bytes = configuration.max_layer_bytes,
                     .max_entries = configuration.max_layer_entries}};
}

std::vector<AddedFile> container_provenance(const ContainerRecord& record, const BaseImage& image,
                                            const CommitMaker& maker) {
  const OwnFiles base(image.squashfs);
  std::vector<AddedFile> files{{"/.mlctr/provenance.json", write_provenance(record, base, maker)}};
  // Of an image that was saved or committed itself, what that one was made from.
  const bool has_base = !base.read("base/manifest.json").empty();
  for (const char* name : {"manifest.json", "config.json"}) {
    std::string body = base.read(has_base ? fmt::format("base/{}", name) : name);
    if (!body.empty()) files.push_back({fmt::format("/.mlctr/base/{}", name), std::move(body)});
  }
  return files;
}

void read_container(const Configuration& configuration, const StoredContainer& container, RunningContainers running,
                    const std::function<void(const BaseImage&)>& read) try {
  const std::string& name = container.record.name;
  if (running == RunningContainers::refuse) refuse_running(open_containers(configuration), name);
  refuse_copy(container);
  translate_foreign_marks(container);
  if (running == RunningContainers::refuse) remove_driver_traces(container.upper.parent_path());
  const WorkId before = look_at_work(container);
  read(base_image_of(configuration, container));
  if (running == RunningContainers::refuse && look_at_work(container) != before) {
    throw Error("it was started meanwhile, and may have changed files", "save it again when it has ended");
  }
} catch (const Cancelled&) {
  throw;
} catch (Error& error) {
  error.add_context(fmt::format("cannot save the container {}", container.record.name));
  throw;
}

void write_container_image(const Configuration& configuration, const StoredContainer& container,
                           RunningContainers running, int output, ProgressBoard& board, std::stop_token stop) {
  read_container(configuration, container, running, [&](const BaseImage& base) {
    const auto progress =
        board.add(container.record.name, std::filesystem::file_size(base.squashfs), ProgressKind::image);
    progress->phase = Phase::merging;
    std::vector<AddedFile> files = container_provenance(container.record, base, {});
    if (!base.config_body.empty()) files.push_back({"/.mlctr/config.json", own_config(base.config_body)});
    squashfs::merge_upper(base.squashfs, changes_of(container), files, output, pack_options(configuration),
                          std::move(stop), progress.get());
    progress->phase = Phase::done;
  });
}

}  // namespace mlctr
