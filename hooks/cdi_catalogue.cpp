#include "hooks/cdi_catalogue.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "hooks/document.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::uint64_t k_max_file_bytes = 4u << 20;
constexpr std::size_t k_max_named = 16;  // of the devices that there are, in a message

// What it says becomes mounts of the user's: whoever may write it could have them see other files.
std::optional<std::string> distrust(const struct stat& status) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return fmt::format("it belongs to neither root nor you, but to uid {}", status.st_uid);
  }
  if ((status.st_mode & S_IWOTH) != 0) return "everybody may write it: chmod o-w";
  if ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0 && status.st_uid == 0) {
    return fmt::format("the group {} may write it: chmod g-w", status.st_gid);
  }
  return std::nullopt;
}

std::string read_trusted(const Fd& file, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw SysError("cannot look at it");
  if (const auto reason = distrust(status)) throw Error("not used: " + *reason);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > k_max_file_bytes) throw Error(fmt::format("it is larger than {} MiB", k_max_file_bytes >> 20));
  std::string text(size, '\0');
  text.resize(read_at(file.get(), std::as_writable_bytes(std::span(text)), 0, path.string()));
  return text;
}

void read_one(CdiCatalogue& catalogue, const HostView& host, const std::filesystem::path& path, std::size_t priority) {
  try {
    const auto file = host.open(path);
    if (!file) throw Error("it can't be read, or is no file");
    catalogue.files.push_back({path, priority, parse_cdi_spec(read_trusted(*file, path))});
  } catch (const DocumentError& error) {
    catalogue.broken.push_back({path, error.line(), error.message()});
  } catch (const Error& error) {
    catalogue.broken.push_back({path, 0, error.message()});
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string what_is_there(const CdiCatalogue& catalogue) {
  std::set<std::string> names;
  for (const CdiFile& file : catalogue.files) {
    for (const CdiDevice& device : file.spec.devices) names.insert(CdiName{file.spec.kind, device.name}.text());
  }
  if (names.empty()) {
    return "no CDI file defines any device: an admin makes NVIDIA's with `nvidia-ctk cdi generate "
           "--output=/etc/cdi/nvidia.yaml`; `--gpus` needs none";
  }
  std::vector<std::string> shown(names.begin(), names.end());
  std::ranges::sort(shown, is_before_by_number);
  const bool is_cut = shown.size() > k_max_named;
  if (is_cut) shown.resize(k_max_named);
  return "there are: " + join(shown, ", ") + (is_cut ? " …" : "");
}

std::string conflict_of(const CdiName& name, const std::vector<CdiDefinition>& definitions) {
  std::vector<std::string> files;
  for (const CdiDefinition& definition : definitions) {
    files.push_back(fmt::format("{}:{}", definition.file->path.string(), definition.device->line));
  }
  return fmt::format("{} is defined more than once: {}", name.text(), join(files, ", "));
}

}  // namespace

std::string BrokenCdiFile::text() const {
  const std::string file = printable(path.string(), 4096);
  return line == 0 ? fmt::format("{}: {}", file, problem) : fmt::format("{}:{}: {}", file, line, problem);
}

CdiCatalogue read_cdi_catalogue(const HostView& host, std::span<const std::filesystem::path> directories) {
  CdiCatalogue catalogue;
  std::set<std::filesystem::path> seen;
  for (std::size_t i = 0; i < directories.size(); ++i) {
    const auto directory = host.find(directories[i]);
    if (!directory || !seen.insert(directory->path).second) continue;  // /var/run and /run are one
    for (const std::string& name : host.list(directories[i])) {
      if (name.ends_with(".json") || name.ends_with(".yaml")) read_one(catalogue, host, directories[i] / name, i);
    }
  }
  return catalogue;
}

std::vector<CdiDefinition> find_cdi_device(const CdiCatalogue& catalogue, const CdiName& name) {
  std::vector<CdiDefinition> found;
  for (const CdiFile& file : catalogue.files) {
    if (file.spec.kind != name.kind) continue;
    const auto device = std::ranges::find(file.spec.devices, name.device, &CdiDevice::name);
    if (device == file.spec.devices.end()) continue;
    if (!found.empty() && found.front().file->priority < file.priority) found.clear();
    found.push_back({&file, &*device});
  }
  return found;
}

bool has_cdi_kind(const CdiCatalogue& catalogue, const CdiKind& kind) {
  return std::ranges::any_of(catalogue.files, [&](const CdiFile& file) { return file.spec.kind == kind; });
}

std::vector<CdiDefinition> resolve_cdi_devices(const CdiCatalogue& catalogue, std::span<const CdiName> names) {
  std::vector<CdiDefinition> resolved;
  std::vector<std::string> unknown, problems;
  for (const CdiName& name : names) {
    const auto found = find_cdi_device(catalogue, name);
    if (found.size() == 1) resolved.push_back(found.front());
    if (found.empty()) unknown.push_back(name.text());
    if (found.size() > 1) problems.push_back(conflict_of(name, found));
  }
  if (unknown.empty() && problems.empty()) return resolved;
  if (!unknown.empty()) problems.insert(problems.begin(), "no such device: " + join(unknown, ", "));
  for (const BrokenCdiFile& file : catalogue.broken) problems.push_back("not read: " + file.text());
  throw Error(join(problems, "; "), what_is_there(catalogue));
}

}  // namespace mlctr::hooks
