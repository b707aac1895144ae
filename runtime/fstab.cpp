#include "runtime/fstab.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"
#include "runtime/mount_flag.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::string_view k_field_blanks = " \t";
constexpr std::string_view k_any_tree = "none";
constexpr int k_before_hooks = -1, k_after_hooks = 0;

// Taken, and of no meaning here.
constexpr std::array<std::string_view, 37> k_ignored{
    "async",    "atime",      "auto",       "bind",        "defaults", "diratime",   "dirsync",       "group",
    "iversion", "lazytime",   "loud",       "mand",        "noatime",  "noauto",     "nodiratime",    "nofail",
    "nogroup",  "noiversion", "nolazytime", "nomand",      "noowner",  "norelatime", "nostrictatime", "nouser",
    "nousers",  "owner",      "rbind",      "relatime",    "remount",  "silent",     "strictatime",   "sync",
    "user",     "users",      "unbindable", "runbindable", "_netdev"};

template <class Table>
bool contains(const Table& table, std::string_view name) {
  return std::ranges::find(table, name) != table.end();
}

bool has(const FstabLine& line, std::string_view option) {
  return contains(line.options, option);
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; (begin = text.find_first_not_of(separators, begin)) != text.npos;) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return parts;
}

// getmntent(3): a backslash with three octal digits is a byte.
std::string without_escapes(std::string_view field) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size() && field[i + 1] <= '3' &&
        std::ranges::all_of(field.substr(i + 1, 3), is_octal)) {
      text += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
      i += 3;
    } else {
      if (field[i] == '\\' && i + 1 < field.size() && field[i + 1] == '\\') ++i;
      text += field[i];
    }
  }
  return text;
}

std::optional<int> parse_number(const std::string& text) {
  int number = 0;
  const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), number);
  return mistake == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

bool looks_like_options(std::string_view text) {
  return text.find(',') != text.npos || text.starts_with("x-") || find_mount_flag(text) != nullptr ||
         contains(k_ignored, text);
}

// Fields 5 and 6 are at the end whatever is missing before: enroot takes a lone number for the pass.
int take_pass(std::vector<std::string>& fields) {
  std::vector<int> numbers;
  while (fields.size() > 2 && numbers.size() < 2) {
    const auto number = parse_number(fields.back());
    if (!number) break;
    numbers.push_back(*number);
    fields.pop_back();
  }
  if (numbers.empty()) return k_after_hooks;
  return numbers[0] == 0 ? numbers.back() : numbers[0];
}

// Puts what may be left out where it belongs:
//   /src              /src bind            /src /dst          /src /dst bind
//   tmpfs /dst        none /dst devpts
void complete(FstabLine& line, std::vector<std::string> fields) {
  for (const std::size_t place : {1u, 2u}) {
    if (fields.size() == place + 1 && looks_like_options(fields[place])) {
      fields.insert(fields.begin() + static_cast<std::ptrdiff_t>(place), place == 1 ? 2 : 1, "");
    }
  }
  fields.resize(4);
  line.source = fields[0];
  line.target = fields[1];
  line.type = fields[2];
  if (line.source == "tmpfs" && (line.type.empty() || line.type == k_any_tree)) line.type = "tmpfs";
  if (line.source != "tmpfs" && (line.target.empty() || line.target == k_any_tree)) line.target = line.source;
  if (line.type.empty()) line.type = k_any_tree;
  if (fields[3].empty() && line.type == k_any_tree) fields[3] = "rbind,x-create=auto";
  line.options = split(fields[3], ",");
}

std::string target_of(const FstabLine& line) {
  const std::string target = std::filesystem::path("/" + line.target).lexically_normal().string();
  if (leads_out(line.target)) {
    throw Error(fmt::format("the target {} leads out of the container", printable(line.target, 4096)));
  }
  if (target.find_first_not_of('/') == target.npos) throw Error("the container's root itself can't be mounted over");
  return target[1] == '/' ? target.substr(1) : target;  // "//x" is a name of its own to std::filesystem
}

// The path in the container, for a source that is in it.
std::optional<std::string> inside(const std::filesystem::path& source, const std::filesystem::path& rootfs) {
  const std::string root = rootfs.lexically_normal().string();
  const std::string path = source.string();
  if (root.empty() || !path.starts_with(root) || (path.size() > root.size() && path[root.size()] != '/')) {
    return std::nullopt;
  }
  return path.size() > root.size() ? path.substr(root.size()) : "/";
}

std::filesystem::path path_of(const FstabLine& line, const FstabPlace& place) {
  return std::filesystem::path(place.directory / line.source).lexically_normal();
}

// No user may mount a file: the kernel's squashfs would refuse it.
MountSource squashfs_source(const FstabLine& line, const FstabPlace& place) {
  const std::filesystem::path source = path_of(line, place);
  if (place.is_squashfs(source)) return SquashfsMount{source};
  std::error_code error;
  if (!std::filesystem::exists(source, error)) return BindMount{source};  // missing is missing, nofail or not
  throw Error(fmt::format("{} is no squashfs file", printable(source.string(), 4096)));
}

bool is_shown_as_directory(const FstabLine& line) {
  return has(line, "x-create=auto") || has(line, "x-create=dir");
}

MountSource tree_source(const FstabLine& line, const FstabPlace& place) {
  const auto source = path_of(line, place);
  const auto in_container = inside(source, place.rootfs);
  if (has(line, "x-move")) {
    if (!in_container) throw Error("x-move is for mounts of the container only, below ${ENROOT_ROOTFS}");
    return MovedMount{*in_container};
  }
  if (line.source.empty()) throw Error("the source is empty: a variable in it is not set");
  if (in_container) return ContainerTree{*in_container};
  if (place.is_squashfs && is_shown_as_directory(line) && place.is_squashfs(source)) return SquashfsMount{source};
  return BindMount{source};
}

MountSource source_of(const FstabLine& line, const FstabPlace& place) {
  if (has(line, "x-detach")) return Unmount{};
  if (line.type == "squashfs" && place.is_squashfs) return squashfs_source(line, place);
  if (line.type != k_any_tree) return KernelMount{line.type, {{"source", line.source}}};
  if (has(line, "remount")) return ChangedMount{};
  if (has(line, "bind") || has(line, "rbind") || has(line, "x-move")) return tree_source(line, place);
  const bool has_propagation = std::ranges::any_of(line.options, [](const std::string& option) {
    const MountFlag* known = find_mount_flag(option);
    return known != nullptr && known->propagation != 0;
  });
  if (has_propagation) return ChangedMount{};
  throw Error("it has neither a filesystem's type nor the option bind");
}

void apply_option(Mount& mount, const std::string& option) {
  auto* kernel = std::get_if<KernelMount>(&mount.source);
  if (const MountFlag* known = find_mount_flag(option)) {
    mount.attributes = (mount.attributes & ~known->clear) | known->set;
    if (known->propagation != 0) mount.propagation = known->propagation;
  } else if (option.starts_with("x-") || contains(k_ignored, option)) {
    return;
  } else if (kernel != nullptr) {
    const std::size_t equals = std::min(option.find('='), option.size());
    kernel->options.emplace_back(option.substr(0, equals), equals < option.size() ? option.substr(equals + 1) : "");
  } else {
    throw Error(fmt::format("no such mount option: {}", printable(option)));
  }
}

}  // namespace

std::vector<FstabLine> parse_fstab(std::string_view text, const VariableLookup& value_of) {
  std::vector<FstabLine> lines;
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(row.size() + 1, text.size()));
    std::vector<std::string> fields = split(row, k_field_blanks);
    if (fields.empty() || fields[0].starts_with('#')) continue;
    if (row.find('\0') != row.npos) throw Error(fmt::format("{}: it has a NUL byte", number));
    FstabLine line{.number = number, .source = {}, .target = {}, .type = {}};
    line.pass = take_pass(fields);
    if (fields.size() > 4) throw Error(fmt::format("{}: it has more fields than there are", number));
    for (std::string& field : fields) {
      field = without_escapes(field);
      if (value_of) field = expand_variables(field, value_of);
    }
    complete(line, std::move(fields));
    lines.push_back(std::move(line));
  }
  return lines;
}

Mount plan_fstab_line(const FstabLine& line, const FstabPlace& place) try {
  const bool is_made = std::ranges::any_of(line.options, [](const auto& o) { return o.starts_with("x-create="); });
  Mount mount{.source = source_of(line, place),
              .target = target_of(line),
              .if_missing = has(line, "nofail") ? IfMissing::skip : IfMissing::fail,
              .if_no_target = is_made || line.type == "squashfs" ? IfNoTarget::make : IfNoTarget::fail,
              .origin = fmt::format("{}:{}", place.file, line.number)};
  for (const std::string& option : line.options) apply_option(mount, option);
  return mount;
} catch (Error& error) {
  error.add_context(fmt::format("{}:{}", place.file, line.number));
  throw;
}

FstabMounts plan_fstab(std::string_view text, const VariableLookup& value_of, const FstabPlace& place) {
  std::vector<FstabLine> lines;
  try {
    lines = parse_fstab(text, value_of);
  } catch (const Error& error) {
    throw Error(fmt::format("{}:{}", place.file, error.message()));
  }
  FstabMounts mounts;
  for (const FstabLine& line : lines) {
    if (line.pass == k_before_hooks) mounts.before_hooks.push_back(plan_fstab_line(line, place));
    if (line.pass == k_after_hooks) mounts.after_hooks.push_back(plan_fstab_line(line, place));
  }
  return mounts;
}

}  // namespace mlctr::runtime
