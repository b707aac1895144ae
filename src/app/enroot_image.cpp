#include "app/enroot_image.hpp"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"
#include "runtime/environment.hpp"
#include "runtime/environment_file.hpp"
#include "runtime/fstab.hpp"
#include "squashfs/file_content.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_environment_bytes = 256u << 10;
constexpr std::size_t k_max_expanded_bytes = 2u << 20;  // what execve(2) takes in all, as most machines are set
constexpr std::uint64_t k_max_fstab_bytes = 64u << 10;
constexpr std::uint64_t k_max_script_bytes = 1u << 20;
constexpr std::size_t k_max_mounts = 256;
// A label of an OCI image could say the same, and would get no more by it.
constexpr const char* k_fstab_label = "mlctr.enroot.fstab";

// enroot quotes an argument with a control character as only bash reads it; else any shell will do.
std::string shell_for(const squashfs::Reader& image, std::string_view script) {
  if (script.find("$'") == script.npos) return "/bin/sh";
  for (const char* bash : {"/bin/bash", "/usr/bin/bash"}) {
    if (squashfs::has_file(image, bash)) return bash;
  }
  return "/bin/sh";
}

// The base container has these in their places.
bool is_of_base_container(const runtime::Mount& mount) {
  return std::ranges::any_of(std::array{"/proc", "/sys", "/dev", "/run", "/var/run", "/tmp"},
                             [&](const char* directory) { return is_below(mount.target, directory); });
}

bool shows_only_the_image(const runtime::Mount& mount) {
  if (const auto* kernel = std::get_if<runtime::KernelMount>(&mount.source)) return kernel->filesystem == "tmpfs";
  return std::holds_alternative<runtime::ContainerTree>(mount.source);
}

class ImageMounts {
 public:
  explicit ImageMounts(const std::filesystem::path& rootfs)
      : place_{.file = "/etc/fstab of the image", .rootfs = rootfs, .directory = "/"} {}

  void read(std::string_view text) try {
    const std::vector<std::string> variables{fmt::format("ENROOT_ROOTFS={}", place_.rootfs.string())};
    for (const auto& line : runtime::parse_fstab(text, runtime::lookup_in(variables))) {
      if (line.pass == -1 || line.pass == 0) take(line);
    }
  } catch (const Error& error) {
    left_out_.push_back(error.message());
  }

  std::vector<runtime::Mount> mounts() && { return std::move(mounts_); }
  const std::vector<std::string>& left_out() const noexcept { return left_out_; }

 private:
  void take(const runtime::FstabLine& line) try {
    runtime::Mount mount = runtime::plan_fstab_line(line, place_);
    if (!shows_only_the_image(mount) || mounts_.size() == k_max_mounts) {
      if (!is_of_base_container(mount)) left_out_.push_back(fmt::format("{} on {}", line.source, line.target));
      return;
    }
    mount.attributes |= MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    mount.if_no_target = runtime::IfNoTarget::make;
    mounts_.push_back(std::move(mount));
  } catch (const Error& error) {
    left_out_.push_back(error.message());
  }

  runtime::FstabPlace place_;
  std::vector<runtime::Mount> mounts_;
  std::vector<std::string> left_out_;
};

// "${PATH}:/opt/x" without a value is ":/opt/x": an empty element would be the current directory.
void drop_empty_elements(std::string& entry) {
  const std::size_t equals = entry.find('=');
  if (equals == entry.npos || !std::string_view(entry).substr(0, equals).ends_with("PATH")) return;
  std::string kept = entry.substr(0, equals + 1);
  for (std::string_view rest = std::string_view(entry).substr(equals + 1); !rest.empty();) {
    const std::string_view element = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(element.size() + 1, rest.size()));
    if (!element.empty()) kept.append(kept.back() == '=' ? "" : ":").append(element);
  }
  entry = std::move(kept);
}

}  // namespace

std::string enroot_config(const squashfs::Reader& image) {
  const auto script = squashfs::read_small_file(image, "/etc/rc", k_max_script_bytes);
  const auto environment = squashfs::read_small_file(image, "/etc/environment", k_max_environment_bytes);
  if (!script && !environment) return "";
  nlohmann::json config{{"Env", nlohmann::json::array()}};
  for (std::string& entry : runtime::parse_environment_file(environment.value_or(""))) {
    config["Env"].push_back(std::move(entry));
  }
  std::string fstab;
  if (script) {
    config["Entrypoint"] = {shell_for(image, *script), "/etc/rc"};
    fstab = squashfs::read_small_file(image, "/etc/fstab", k_max_fstab_bytes).value_or("");
  }
  config["Labels"] = {{k_fstab_label, fstab}};
  const nlohmann::json whole{{"config", config},
                             {"rootfs", {{"type", "layers"}, {"diff_ids", nlohmann::json::array()}}}};
  return whole.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

ImageConfig with_host_variables(ImageConfig config, const runtime::Host& host) {
  if (!config.labels.contains(k_fstab_label)) return config;
  const runtime::VariableLookup value_of = [find = runtime::lookup_in(host.environment)](std::string_view name) {
    if (name == "PATH") return std::string(runtime::k_default_path);
    return runtime::why_withheld(name) ? std::string() : find(name);
  };
  std::size_t bytes = 0;
  for (std::string& entry : config.environment) {
    const std::string expanded = runtime::expand_variables(entry, value_of);
    if (expanded == entry) continue;
    entry = expanded;
    drop_empty_elements(entry);
    bytes += entry.size();
    if (bytes > k_max_expanded_bytes)
      throw Error("the image's /etc/environment becomes too large with the host's variables in it",
                  "shorten what it takes of the host's, as ${NAME}");
  }
  return config;
}

std::vector<runtime::Mount> enroot_mounts(const ImageConfig& config, const std::filesystem::path& rootfs,
                                          const std::function<void(const std::string&)>& tell) {
  const auto fstab = config.labels.find(k_fstab_label);
  if (fstab == config.labels.end()) return {};
  ImageMounts mounts(rootfs);
  mounts.read(fstab->second);
  if (!mounts.left_out().empty() && tell) {
    tell(fmt::format("/etc/fstab of the image: {} mount{} left out, as no image brings the host's files ({}…): --mount",
                     mounts.left_out().size(), mounts.left_out().size() == 1 ? "" : "s",
                     printable(mounts.left_out()[0])));
  }
  return std::move(mounts).mounts();
}

}  // namespace mlctr
