#include "app/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>
#include <utility>

#include "app/quantity.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

// As runtime::RootfsChoice has them.
constexpr std::array<std::string_view, 5> k_rootfs_choices{"auto", "overlay", "unpack", "fuse-overlayfs", "copy"};

// As ChangesPlace has them.
constexpr std::array<std::string_view, 3> k_changes_places{"auto", "memory", "disk"};

// As hooks::ForwardCompat and hooks::DriverLayout have them.
constexpr std::array<std::string_view, 3> k_forward_compat{"auto", "never", "always"};
constexpr std::array<std::string_view, 2> k_driver_layouts{"own", "system"};

// As ContainerScope has them.
constexpr std::array<std::string_view, 2> k_container_scopes{"global", "job"};

template <class T>
const T& expect(const SettingInput& input, std::string_view what) {
  if (const T* value = std::get_if<T>(&input)) return *value;
  throw UsageError(fmt::format("it must be {}", what));
}

template <class Owner, class Integer>
Setting<Owner> integer(std::string_view key, Integer Owner::*member, std::int64_t least, std::int64_t most,
                       std::string_view description) {
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    const std::int64_t value = expect<std::int64_t>(input, fmt::format("an integer from {} to {}", least, most));
    if (value < least || value > most) throw UsageError(fmt::format("{} is not from {} to {}", value, least, most));
    owner.*member = static_cast<Integer>(value);
  };
  const auto show = [=](const Owner& owner) { return fmt::format("{}", owner.*member); };
  return {key, SettingType::integer, description, assign, show};
}

template <class Owner>
Setting<Owner> size(std::string_view key, std::uint64_t Owner::*member, std::uint64_t least,
                    std::string_view description) {
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    const auto* integer = std::get_if<std::int64_t>(&input);
    if (integer != nullptr && *integer < 0) throw UsageError("a size can't be negative");
    const std::uint64_t bytes =
        integer != nullptr ? static_cast<std::uint64_t>(*integer)
                           : parse_size(expect<std::string>(input, "a size like \"50GiB\", or an integer of bytes"));
    if (bytes < least) throw UsageError(fmt::format("it must be {} or more", write_size(least)));
    owner.*member = bytes;
  };
  const auto show = [=](const Owner& owner) { return quote_toml(write_size(owner.*member)); };
  return {key, SettingType::size, description, assign, show};
}

template <class Owner>
Setting<Owner> duration(std::string_view key, std::chrono::seconds Owner::*member, std::string_view description) {
  constexpr std::chrono::seconds k_longest = std::chrono::hours(24 * 365);
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    const auto* seconds = std::get_if<std::int64_t>(&input);
    const std::chrono::seconds value =
        seconds != nullptr
            ? std::chrono::seconds(*seconds)
            : parse_duration(expect<std::string>(input, "a duration like \"30s\", or an integer of seconds"));
    if (value.count() < 1 || value > k_longest) throw UsageError("a duration must be from 1 s to 365 days");
    owner.*member = value;
  };
  const auto show = [=](const Owner& owner) { return quote_toml(fmt::format("{}s", (owner.*member).count())); };
  return {key, SettingType::duration, description, assign, show};
}

template <class Owner>
Setting<Owner> boolean(std::string_view key, bool Owner::*member, std::string_view description) {
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    owner.*member = expect<bool>(input, "true or false");
  };
  const auto show = [=](const Owner& owner) { return owner.*member ? "true" : "false"; };
  return {key, SettingType::boolean, description, assign, show};
}

// `names`: of the enumeration's values, in their order.
template <class Owner, class Enumeration, std::size_t N>
Setting<Owner> choice(std::string_view key, Enumeration Owner::*member, const std::array<std::string_view, N>& names,
                      std::string_view description) {
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    const std::string what = fmt::format("one of {}", fmt::join(names, ", "));
    const auto found = std::ranges::find(names, expect<std::string>(input, what));
    if (found == names.end()) throw UsageError(fmt::format("it must be {}", what));
    owner.*member = static_cast<Enumeration>(found - names.begin());
  };
  const auto show = [=](const Owner& owner) { return quote_toml(names[static_cast<std::size_t>(owner.*member)]); };
  return {key, SettingType::choice, description, assign, show};
}

template <class Owner, class Path>
Setting<Owner> path(std::string_view key, Path Owner::*member, std::string_view description) {
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    owner.*member = expect<std::string>(input, "a path in quotes");
  };
  const auto show = [=](const Owner& owner) { return quote_toml(std::filesystem::path(owner.*member).string()); };
  return {key, SettingType::path, description, assign, show};
}

std::string show_list(const std::vector<std::string>& values) {
  std::vector<std::string> quoted;
  for (const std::string& value : values) quoted.push_back(quote_toml(value));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

template <class Owner>
Setting<Owner> path_list(std::string_view key, std::vector<std::filesystem::path> Owner::*member,
                         std::string_view description, SettingScope scope = SettingScope::everyone) {
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    const auto& paths = expect<std::vector<std::string>>(input, "a list of paths: [\"/a\", \"/b\"]");
    (owner.*member).assign(paths.begin(), paths.end());
  };
  const auto show = [=](const Owner& owner) {
    std::vector<std::string> paths;
    for (const std::filesystem::path& each : owner.*member) paths.push_back(each.string());
    return show_list(paths);
  };
  return {key, SettingType::path_list, description, assign, show, scope};
}

template <class Owner>
Setting<Owner> url_list(std::string_view key, std::vector<std::string> Owner::*member, std::string_view description) {
  const auto assign = [=](Owner& owner, const SettingInput& input) {
    const auto& urls = expect<std::vector<std::string>>(input, "a list of URLs: [\"https://mirror.local:5000\"]");
    for (const std::string& url : urls) {
      const std::size_t scheme_end = url.find("://");
      const std::string_view scheme = std::string_view(url).substr(0, scheme_end);
      if ((scheme != "https" && scheme != "http") || scheme_end == std::string::npos || scheme_end + 3 == url.size()) {
        throw UsageError(fmt::format("'{}' is no URL that begins with https:// or http://", printable(url)));
      }
    }
    owner.*member = urls;
  };
  const auto show = [=](const Owner& owner) { return show_list(owner.*member); };
  return {key, SettingType::url_list, description, assign, show};
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool parse_boolean(const std::string& text) {
  if (text == "1" || text == "true" || text == "yes") return true;
  if (text == "0" || text == "false" || text == "no") return false;
  throw UsageError("it must be true or false");
}

// Levenshtein's: how many characters to insert, delete or replace.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, replaced}));
    }
  }
  return row.back();
}

}  // namespace

std::span<const Setting<Configuration>> settings() {
  using C = Configuration;
  constexpr std::int64_t k_many = 1'000'000'000'000;
  static const std::vector<Setting<Configuration>> table{
      path("store", &C::store, "where images, layers and containers are kept"),
      path("containers", &C::containers,
           "where named containers are kept, on a local filesystem (default: containers/ in the store)"),
      path_list("extra_stores", &C::extra_stores, "stores to read from only, an admin's shared one for instance"),
      integer("pull.parallel_downloads", &C::parallel_downloads, 1, 64, "layers that download at a time"),
      integer("pull.threads", &C::threads, 0, 4096, "threads that compress; 0: one a processor we may run on"),
      integer("pull.compression_level", &C::compression_level, 1, 22, "zstd's level for what goes into an image"),
      size("pull.max_layer_bytes", &C::max_layer_bytes, 1, "the largest layer taken, uncompressed (against bombs)"),
      integer("pull.max_layer_entries", &C::max_layer_entries, 1, k_many, "the most files taken in a layer"),
      duration("pull.stall_timeout", &C::stall_timeout, "a download without a byte for so long is broken and retried"),
      choice("run.rootfs", &C::rootfs, k_rootfs_choices, "how a root comes to be; auto: the first that works here"),
      choice("run.changes", &C::changes, k_changes_places, "where an unnamed container's changes go until it ends"),
      duration("run.hook_timeout", &C::hook_timeout, "a hook that takes longer is stopped, and the start refused"),
      path("gpu.driver_root", &C::gpu_driver_root,
           "where the GPU's driver is installed: a driver container's root, say"),
      path("gpu.dev_root", &C::gpu_device_root, "where /dev with the GPUs' nodes is"),
      path_list("gpu.library_paths", &C::gpu_library_paths, "directories of the driver's libraries, and no others"),
      path_list("gpu.binary_paths", &C::gpu_binary_paths, "directories of its programs, before PATH"),
      path_list("gpu.config_paths", &C::gpu_config_paths, "directories like /usr/share for its files, before that"),
      choice("gpu.forward_compat", &C::gpu_forward_compat, k_forward_compat,
             "whether an image's newer libcuda goes before the host's; auto: where it says that it fits"),
      choice("gpu.driver_lib_layout", &C::gpu_driver_lib_layout, k_driver_layouts,
             "own: the driver's libraries in /run/mlctr; system: where the host has them"),
      path_list("cdi.allowed_hooks", &C::cdi_allowed_hooks,
                "the site's alone: programs (their real paths, root's) that CDI files may have run on the host",
                SettingScope::system),
      choice("slurm.container_scope", &C::container_scope, k_container_scopes,
             "whose a --container-name is on a node: yours (global), or the job's alone; --container-scope goes first"),
      boolean("slurm.quiet", &C::is_step_quiet, "whether a step says nothing of an image that it pulls"),
      size("gc.layer_cache", &C::layer_cache_bytes, 0, "how much of layers `mlctr gc` keeps, the most recently used"),
  };
  return table;
}

std::span<const Setting<RegistryConfiguration>> registry_settings() {
  using R = RegistryConfiguration;
  static const std::vector<Setting<RegistryConfiguration>> table{
      url_list("mirrors", &R::mirrors, "where to ask first, in this order"),
      boolean("plain_http", &R::plain_http, "whether to go on without TLS where the registry has none"),
      boolean("insecure", &R::insecure, "whether to take any TLS certificate (a warning each time)"),
      path("ca_file", &R::ca_file, "certificates (PEM) to trust besides the system's"),
      path("client_certificate", &R::client_certificate, "a certificate (PEM) to show to the registry"),
      path("client_key", &R::client_key, "the key (PEM) of that certificate"),
  };
  return table;
}

std::string setting_variable(std::string_view key) {
  std::string variable = "MLCTR_";
  for (const char c : key) variable += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return variable;
}

SettingInput setting_input_from_text(SettingType type, const std::string& text) {
  switch (type) {
    case SettingType::boolean:
      return parse_boolean(text);
    case SettingType::integer: {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) return text;  // assign says what it must be
      return value;
    }
    case SettingType::choice:
    case SettingType::size:
    case SettingType::duration:
    case SettingType::path:
      return text;
    case SettingType::path_list:
      return split(text, ':');
    case SettingType::url_list:
      return split(text, ',');
  }
  return text;
}

std::string nearest_name(std::string_view mistyped, std::span<const std::string> known) {
  std::string nearest;
  std::size_t least = std::max<std::size_t>(2, mistyped.size() / 3) + 1;
  for (const std::string& name : known) {
    const std::size_t distance = edit_distance(mistyped, name);
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }
  return nearest;
}

std::string quote_toml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace mlctr
