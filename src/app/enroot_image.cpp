#include "app/enroot_image.hpp"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"
#include "runtime/environment.hpp"
#include "runtime/environment_file.hpp"
#include "runtime/fstab.hpp"
#include "squashfs/file_content.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_max_expanded_bytes = 2u << 20;  // what execve(2) takes in all, as most machines are set
constexpr std::uint64_t k_max_environment_bytes = k_max_expanded_bytes;
constexpr std::uint64_t k_max_fstab_bytes = 64u << 10;
constexpr std::uint64_t k_max_script_bytes = 1u << 20;
constexpr const char *k_script = "/etc/rc", *k_environment = "/etc/environment", *k_fstab = "/etc/fstab";
constexpr std::size_t k_max_mounts = 256;
// A label of an OCI image could say the same, and would get no more by it.
constexpr const char* k_fstab_label = "mlctr.enroot.fstab";
constexpr const char* k_left_out_label = "mlctr.enroot.left_out";  // a line for each thing to tell of

// Empty where there is none, or more of it than can be meant.
std::string read_or_leave_out(const squashfs::Reader& image, const char* path, std::uint64_t max_bytes,
                              std::string& left_out) {
  const std::uint64_t size = squashfs::size_of_file(image, path).value_or(0);
  if (size <= max_bytes) return squashfs::read_small_file(image, path, max_bytes).value_or("");
  left_out += fmt::format("{} of the image has {} bytes, {} at most are read: left out\n", path, size, max_bytes);
  return "";
}

// JSON takes none, nor does mount(2) or an environment. What is left out stays as an empty line: others keep their
// numbers.
std::string without_nul_lines(std::string_view text, const char* path, std::string& left_out) {
  std::string kept;
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const bool has_nul = line.find('\0') != line.npos;
    if (has_nul && left_out.find(path) == left_out.npos) {
      left_out += fmt::format("{}:{} of the image has a NUL byte, and is left out like others that do\n", path, number);
    }
    kept.append(has_nul ? "" : line).append("\n");
  }
  return kept;
}

// enroot quotes an argument with a control character as only bash reads it; else any shell will do. Of a script that
// is too long to look through, nobody knows.
std::string shell_for(const squashfs::Reader& image) {
  const bool is_long = squashfs::size_of_file(image, k_script).value_or(0) > k_max_script_bytes;
  if (!is_long &&
      squashfs::read_small_file(image, k_script, k_max_script_bytes).value_or("").find("$'") == std::string::npos) {
    return "/bin/sh";
  }
  for (const char* bash : {"/bin/bash", "/usr/bin/bash"}) {
    if (squashfs::has_file(image, bash)) return bash;
  }
  return "/bin/sh";
}

// An empty one ends well without the command: so enroot has it, but it should not be a riddle.
nlohmann::json entrypoint_of(const squashfs::Reader& image) {
  if (squashfs::size_of_file(image, k_script) != 0u) return {shell_for(image), k_script};
  return {"/bin/sh", "-c",
          "echo 'mlctr: /etc/rc of the image is empty: nothing runs; --no-entrypoint does without it' >&2", k_script};
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

  // Line for line: what is wrong with one is nothing against the others.
  void read(std::string_view text) {
    for (unsigned number = 1; !text.empty(); ++number) {
      const std::string_view row = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(row.size() + 1, text.size()));
      read_line(row, number);
    }
  }

  std::vector<runtime::Mount> mounts() && { return std::move(mounts_); }
  const std::vector<std::string>& left_out() const noexcept { return left_out_; }

 private:
  void read_line(std::string_view row, unsigned number) try {
    const std::vector<std::string> variables{fmt::format("ENROOT_ROOTFS={}", place_.rootfs.string())};
    for (runtime::FstabLine& line : runtime::parse_fstab(row, runtime::lookup_in(variables))) {
      line.number = number;
      if (line.pass == -1 || line.pass == 0) take(line);
    }
  } catch (const Error& error) {
    left_out_.push_back(error.message());
  }

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
  const bool has_script = squashfs::size_of_file(image, k_script).has_value();
  if (!has_script && !squashfs::size_of_file(image, k_environment)) return "";
  std::string left_out;
  const std::string environment = read_or_leave_out(image, k_environment, k_max_environment_bytes, left_out);
  nlohmann::json config{{"Env", nlohmann::json::array()}};
  for (std::string& entry : runtime::parse_environment_file(without_nul_lines(environment, k_environment, left_out))) {
    config["Env"].push_back(std::move(entry));
  }
  std::string fstab;
  if (has_script) {
    config["Entrypoint"] = entrypoint_of(image);
    fstab = without_nul_lines(read_or_leave_out(image, k_fstab, k_max_fstab_bytes, left_out), k_fstab, left_out);
  }
  config["Labels"] = {{k_fstab_label, fstab}};
  if (!left_out.empty()) config["Labels"][k_left_out_label] = left_out;
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

// Any image's config may have such a label: no more lines than ours have.
void tell_left_out(const ImageConfig& config, const std::function<void(const std::string&)>& tell) {
  const auto label = config.labels.find(k_left_out_label);
  if (label == config.labels.end()) return;
  std::istringstream lines(label->second);
  std::string line;
  for (int left = 4; left > 0 && std::getline(lines, line); --left) tell(printable(line));
}

std::vector<runtime::Mount> enroot_mounts(const ImageConfig& config, const std::filesystem::path& rootfs,
                                          const std::function<void(const std::string&)>& tell) {
  const auto fstab = config.labels.find(k_fstab_label);
  if (fstab == config.labels.end()) return {};
  if (tell) tell_left_out(config, tell);
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
