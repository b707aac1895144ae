#include "app/enroot_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/path.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "runtime/environment_file.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_max_fstab_line = 4000;  // enroot reads 4096 at a time

bool is_quote(char c) {
  return c == '"' || c == '\'';
}

// enroot takes quotes off twice, before and after hooks: no number of them would be the right one.
bool loses_quotes(std::string_view value) {
  const std::size_t end = value.find_last_not_of(" \t\r\v\f") + 1;
  return end >= 2 && is_quote(value.front()) && is_quote(value[end - 1]);
}

bool has_reference(std::string_view value) {
  return runtime::expand_variables(value, [](std::string_view) { return std::string(); }) != value;
}

bool fits_environment_file(std::string_view name, std::string_view value) {
  return value.find('\n') == value.npos && !name.starts_with("ENROOT_") && !loses_quotes(value) &&
         !has_reference(value);
}

void write_environment(EnrootFiles& files, std::string& exports, const ImageConfig& config) {
  std::map<std::string, std::string> last;  // a name may come twice, and means the later value
  for (const std::string& entry : config.environment) {
    const std::size_t equals = std::min(entry.find('='), entry.size());
    last[entry.substr(0, equals)] = equals < entry.size() ? entry.substr(equals + 1) : "";
  }
  for (const auto& [name, value] : last) {
    if (!runtime::is_environment_name(name)) {
      files.left_out.push_back(fmt::format("the variable {}", printable(name)));
    } else if (fits_environment_file(name, value)) {
      files.environment += fmt::format("{}={}\n", name, value);
    } else {
      // Who starts the container may have set it already.
      exports += fmt::format("[ -n \"${{{}+set}}\" ] || export {}={}\n", name, name, shell_quoted(value));
    }
  }
}

std::string fstab_field(std::string_view path) {
  std::string field;
  for (const char c : path) {
    switch (c) {
      case ' ':
        field += "\\040";
        break;
      case '\t':
        field += "\\011";
        break;
      case '\n':
        field += "\\012";
        break;
      case '\\':
        field += "\\134";
        break;
      default:
        field += c;
    }
  }
  return field;
}

// From the root on, without "." and ".." and a slash at the end.
std::string absolute(std::string_view path) {
  const auto normal = std::filesystem::path(fmt::format("/{}/", path)).lexically_normal().parent_path();
  return normal.relative_path().empty() ? "/" : "/" + normal.relative_path().string();
}

// A volume is the image's directory mounted on itself: it can be written to where the root can't.
void write_fstab(EnrootFiles& files, const ImageConfig& config) {
  for (const std::string& volume : config.volumes) {
    const std::string path = fstab_field(absolute(volume));
    const std::string line =
        fmt::format("${{ENROOT_ROOTFS}}{} {} none x-create=dir,bind,rw,nosuid,nodev\n", path, path);
    if (path == "/" || path.find('\0') != path.npos || has_reference(path) || line.size() > k_max_fstab_line) {
      files.left_out.push_back(fmt::format("the volume {}", printable(volume)));
    } else {
      files.fstab += line;
    }
  }
}

std::string comment(std::string_view text) {
  std::string line(text);
  std::ranges::replace_if(
      line, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return line;
}

std::string quoted_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += " " + shell_quoted(word);
  return text;
}

std::string write_rc(const ImageConfig& config, const std::string& directory, const std::string& exports,
                     std::string_view reference) {
  std::string rc = fmt::format("# enroot-provenance: {}\n", comment(reference));
  for (const auto& [name, value] : config.labels) rc += fmt::format("# {} {}\n", comment(name), comment(value));
  const std::string entrypoint = quoted_words(config.entrypoint);
  const bool has_nothing = config.entrypoint.empty() && config.command.empty();
  const std::string command = has_nothing ? " /bin/sh" : quoted_words(config.command);
  rc += fmt::format("\n{0}mkdir -p {1} 2> /dev/null\ncd {1} || exit 1\nunset OLDPWD\n\n", exports,
                    shell_quoted(directory));
  rc += "[ ! -s /etc/rc.local ] || . /etc/rc.local\n\n";
  rc += fmt::format("[ $# -eq 0 ] || exec{} \"$@\"\nexec{}{}\n", entrypoint, entrypoint, command);
  return rc;
}

}  // namespace

EnrootFiles write_enroot_files(const ImageConfig& config, std::string_view reference) {
  EnrootFiles files{
      .rc = {},
      .rc_local = "# /etc/rc reads this when the container starts: \"$@\" is the command, \"set --\" changes it.\n",
      .environment = {},
      .fstab = {},
      .working_directory = absolute(config.working_directory)};
  std::string exports;
  write_environment(files, exports, config);
  write_fstab(files, config);
  files.rc = write_rc(config, files.working_directory, exports, reference);
  return files;
}

}  // namespace mlctr
