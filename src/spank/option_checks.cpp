#include "spank/option_checks.hpp"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

#include "spank/descriptor.hpp"

namespace mlctr::spank {
namespace {

/// The next piece of `rest` up to `separator`, which is taken off with it; "\:" is part of a piece.
std::string_view take_piece(std::string_view& rest, char separator) {
  std::size_t end = 0;
  while (end < rest.size() && rest[end] != separator) {
    end += rest[end] == '\\' && end + 1 < rest.size() && rest[end + 1] == ':' ? 2 : 1;
  }
  const std::string_view piece(rest.data(), end);
  rest.remove_prefix(end < rest.size() ? end + 1 : end);
  return piece;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  for (const std::string_view candidate : words) {
    if (word == candidate) return true;
  }
  return false;
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int length_of(std::string_view text) {
  return static_cast<int>(text.size());
}

Failure check_image(std::string_view image) {
  const bool is_path = image[0] == '.' || image[0] == '/';
  if (is_path) return {};
  for (const char c : image) {
    if (c == ' ' || c == '\t' || c == '\n') return failed("an image's name has no spaces in it");
  }
  return {};
}

// As the container store takes them.
Failure check_name(std::string_view argument) {
  std::string_view rest = argument;
  const std::string_view name = take_piece(rest, ':');
  bool good = !name.empty() && name.size() <= 64 && is_alphanumeric(name[0]);
  for (const char c : name) good = good && (is_alphanumeric(c) || c == '_' || c == '.' || c == '-');
  if (!good) {
    return failed("a name is 1 to 64 letters, digits, '_', '.' or '-', a letter or digit first");
  }
  if (name.size() == argument.size() || is_one_of(rest, {"", "auto", "create", "exec", "no_exec"})) return {};
  return failed("flag must be \"auto\", \"create\", \"exec\" or \"no_exec\", not \"%.*s\"", length_of(rest),
                rest.data());
}

Failure check_mount(std::string_view mount) {
  std::string_view rest = mount;
  const std::string_view source = take_piece(rest, ':');
  const bool has_target = source.size() < mount.size();
  const std::string_view target = take_piece(rest, ':');
  if (source.empty() || (has_target && target.empty())) {
    return failed("invalid format: \"%.*s\" (it is SRC[:DST[:FLAG+FLAG]])", length_of(mount), mount.data());
  }
  if (!has_target && is_one_of(source, {"tmpfs", "umount"})) {
    return failed("%.*s where? (it is %.*s:DST)", length_of(source), source.data(), length_of(source), source.data());
  }
  if (has_target && target[0] != '/' && target[0] != '.') {
    return failed("\"%.*s\": the place in the container must be an absolute path", length_of(mount), mount.data());
  }
  return {};
}

Failure check_variable_name(std::string_view name) {
  if (!name.empty() && name.find('=') == std::string_view::npos) return {};
  return failed("invalid format: \"%.*s\" is no variable's name", length_of(name), name.data());
}

Failure check_namespace(std::string_view name) {
  if (is_one_of(name, {"net", "ipc", "uts"})) return {};
  return failed("unknown namespace '%.*s' (there are net, ipc and uts)", length_of(name), name.data());
}

/// Every item of a list with commas.
Failure check_each(std::string_view list, Failure (*check)(std::string_view)) {
  for (std::string_view rest = list;;) {
    // Found here, as the last item's comma would be taken with it.
    const bool is_last = rest.find(',') == std::string_view::npos;
    if (Failure failure = check(take_piece(rest, ',')); failure.happened() || is_last) return failure;
  }
}

bool begins_like_squashfs(const char* path) {
  const Descriptor file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  char magic[4];
  return file && ::pread(file.get(), magic, sizeof(magic), 0) == sizeof(magic) && std::memcmp(magic, "hsqs", 4) == 0;
}

}  // namespace

Failure check_argument(Option option, const char* value) {
  const std::string_view argument = value == nullptr ? "" : value;
  if (argument.empty()) return failed("argument required");
  if (argument.size() >= PATH_MAX && option != Option::mounts && option != Option::env) return failed("too long");
  switch (option) {
    case Option::image:
      return check_image(argument);
    case Option::name:
      return check_name(argument);
    case Option::mounts:
      return check_each(argument, check_mount);
    case Option::save:
      return argument.back() == '/' ? failed("target is a directory") : Failure{};
    case Option::env:
      return check_each(argument, check_variable_name);
    case Option::unshare:
      return check_each(argument, check_namespace);
    case Option::scope:
      return is_one_of(argument, {"global", "job"}) ? Failure{} : failed("it is \"global\" or \"job\"");
    case Option::workdir:
    case Option::mount_home:
    case Option::no_mount_home:
    case Option::remap_root:
    case Option::no_remap_root:
    case Option::entrypoint:
    case Option::no_entrypoint:
    case Option::entrypoint_log:
    case Option::writable:
    case Option::readonly:
      break;
  }
  return {};
}

Failure check_switch(const char* value) {
  if (is_one_of(value, {"1", "true", "yes", "y", "0", "false", "no", "n"})) return {};
  return failed("\"%s\" is neither yes nor no", value);
}

Failure check_for_forgotten_slash(const char* image) {
  struct stat status;
  if (std::strchr(image, '/') != nullptr || ::stat(image, &status) != 0 || !S_ISREG(status.st_mode)) return {};
  const std::string_view name = image;
  if (!name.ends_with(".sqsh") && !begins_like_squashfs(image)) return {};
  return failed("%s is a file here, but without a slash it means an image of a registry (hint: --container-image=./%s)",
                image, image);
}

}  // namespace mlctr::spank
