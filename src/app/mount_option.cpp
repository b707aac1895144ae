#include "app/mount_option.hpp"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>

#include "app/quantity.hpp"
#include "app/source_file.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"
#include "runtime/mount_flag.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_syntax = "it is SRC[:DST[:OPTION+OPTION]], tmpfs:DST or umount:DST";

// Taken, and of no meaning here: how a host's mount keeps access times is locked in a user namespace
// (mount_namespaces(7)), and no option loosens what another one says.
constexpr std::array<std::string_view, 6> k_ignored{"rw", "noatime", "relatime", "bind", "rbind", "file"};

[[noreturn]] void refuse(std::string_view whole, std::string_view cause) {
  throw UsageError(fmt::format("{}: {}", printable(whole, 4096), cause), std::string(k_syntax));
}

// The file's own path would be that of a directory then.
[[noreturn]] void ask_for_target(std::string_view whole, const std::filesystem::path& image) {
  throw UsageError(
      fmt::format("{}: where in the container?", printable(whole, 4096)),
      fmt::format("{}:/{} shows what is in it there", printable(whole, 4096), printable(image.stem().string())));
}

// At ':' but for "\:".
std::vector<std::string> split_fields(std::string_view text) {
  std::vector<std::string> fields(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ':') {
      fields.back() += text[++i];
    } else if (text[i] == ':') {
      fields.emplace_back();
    } else {
      fields.back() += text[i];
    }
  }
  return fields;
}

std::vector<std::string> split_options(const std::string& text) {
  std::vector<std::string> options;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('+', begin), text.size());
    if (end > begin) options.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return options;
}

// "suid" and its like would take away from what the host's mount says.
const runtime::MountFlag* find_adding_flag(std::string_view option) {
  const runtime::MountFlag* flag = runtime::find_mount_flag(option);
  return flag != nullptr && flag->clear == 0 ? flag : nullptr;
}

void apply_option(runtime::Mount& mount, std::string_view whole, const std::string& option) {
  if (const runtime::MountFlag* flag = find_adding_flag(option)) {
    mount.attributes |= flag->set;
    if (flag->propagation != 0) mount.propagation = flag->propagation;
  } else if (option == "nofail") {
    mount.if_missing = runtime::IfMissing::skip;
  } else if (auto* tmpfs = std::get_if<runtime::TmpfsMount>(&mount.source);
             tmpfs != nullptr && option.starts_with("size=")) {
    tmpfs->size_bytes = parse_size(std::string_view(option).substr(5));
  } else if (option.starts_with("x-create=")) {
    // enroot's; what is missing is always made as the source has it
  } else if (std::ranges::find(k_ignored, option) == k_ignored.end()) {
    refuse(whole, fmt::format("no such mount option: {}", printable(option)));
  }
}

std::string parse_target(std::string_view whole, const std::string& target) {
  if (target.empty() || target[0] != '/') refuse(whole, "the place in the container must be an absolute path");
  const std::string normal = std::filesystem::path(target).lexically_normal().string();
  // What the kernel would make of ".." above the root is the root: surely not what was meant.
  if (leads_out(target)) refuse(whole, "the place in the container leads out of it (cross-device link)");
  if (normal == "/") refuse(whole, "the container's root itself can't be mounted over");
  return normal;
}

}  // namespace

runtime::Mount parse_mount(std::string_view text, const std::filesystem::path& directory, std::string_view option) {
  const std::string whole = fmt::format("{} {}", option, text);
  const std::vector<std::string> fields = split_fields(text);
  if (text.starts_with("type=")) refuse(whole, "docker's syntax is not this one");
  if (fields.size() > 3 || fields[0].empty()) refuse(whole, "not a mount");
  const std::vector<std::string> options = split_options(fields.size() > 2 ? fields[2] : "");

  runtime::Mount mount;
  if (fields[0] == "tmpfs" || fields[0] == "umount") {
    if (fields.size() < 2) refuse(whole, "where in the container?");
    if (fields[0] == "tmpfs") {
      mount.source = runtime::TmpfsMount{.mode = 01777};
      mount.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    } else {
      mount.source = runtime::Unmount{};
    }
    mount.target = parse_target(whole, fields[1]);
  } else {
    const auto source = std::filesystem::path(directory / fields[0]).lexically_normal();
    const bool as_file = std::ranges::find(options, "file") != options.end();
    std::error_code error;
    if (!as_file && source.extension() == ".sqsh" && std::filesystem::is_regular_file(source, error) &&
        !has_squashfs(source)) {
      refuse(whole, "it is no squashfs file, whatever its name says (the option \"file\" shows it as it is)");
    }
    if (!as_file && has_squashfs(source)) {
      mount.source = runtime::SquashfsMount{source};
    } else {
      mount.source = runtime::BindMount{source};
    }
    const bool has_target = fields.size() > 1 && !fields[1].empty();
    if (!has_target && std::holds_alternative<runtime::SquashfsMount>(mount.source)) ask_for_target(whole, source);
    mount.target = parse_target(whole, has_target ? fields[1] : source.string());
  }
  for (const std::string& word : options) apply_option(mount, whole, word);
  return mount;
}

}  // namespace mlctr
