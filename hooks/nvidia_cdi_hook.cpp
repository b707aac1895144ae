#include "hooks/nvidia_cdi_hook.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <span>

#include "base/printable.hpp"
#include "hooks/document.hpp"

namespace mlctr::hooks {
namespace {

struct Option {
  std::string name, value;
};

// "--folder /lib" and "--folder=/lib"; what stands without a name is refused.
std::vector<Option> options_of(const CdiHook& hook, std::span<const std::string> words) {
  std::vector<Option> options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("-")) throw DocumentError(hook.line, fmt::format("a hook's argument {}?", printable(word)));
    const std::string name = word.substr(word.starts_with("--") ? 2 : 1);
    const std::size_t equals = name.find('=');
    if (equals != name.npos) {
      options.push_back({name.substr(0, equals), name.substr(equals + 1)});
    } else if (i + 1 < words.size() && !words[i + 1].starts_with("--")) {
      options.push_back({name, words[++i]});
    } else {
      options.push_back({name, ""});
    }
  }
  return options;
}

void require_absolute(const CdiHook& hook, std::string_view path) {
  if (!path.starts_with('/')) throw DocumentError(hook.line, fmt::format("{} is not absolute", printable(path, 4096)));
}

CreateSymlinks read_links(const CdiHook& hook, const std::vector<Option>& options) {
  CreateSymlinks read;
  for (const Option& option : options) {
    if (option.name != "link") continue;
    const std::size_t colons = option.value.find("::");
    if (colons == 0 || colons == option.value.npos) {
      throw DocumentError(hook.line, fmt::format("{} is no link: TARGET::LINK", printable(option.value, 4096)));
    }
    read.links.push_back({option.value.substr(0, colons), option.value.substr(colons + 2)});
    require_absolute(hook, read.links.back().path);
  }
  return read;
}

UpdateLoaderCache read_folders(const CdiHook& hook, const std::vector<Option>& options) {
  UpdateLoaderCache read;
  for (const Option& option : options) {
    if (option.name != "folder") continue;
    require_absolute(hook, option.value);
    read.folders.push_back(option.value);
  }
  return read;
}

// The words behind "nvidia-cdi-hook" or "nvidia-ctk hook"; absent where the program is neither. Packages put a script
// of that name around the program, NAME.real.
std::optional<std::span<const std::string>> command_of(const CdiHook& hook) {
  const std::string program = std::filesystem::path(hook.path).filename();
  std::span<const std::string> words(hook.arguments);
  if (!words.empty()) words = words.subspan(1);
  const auto skip_flags = [&] {
    while (!words.empty() && words.front().starts_with('-')) words = words.subspan(1);
  };
  skip_flags();
  if (program == "nvidia-cdi-hook" || program == "nvidia-cdi-hook.real") return words;
  if (program != "nvidia-ctk" && program != "nvidia-ctk.real") return std::nullopt;
  if (words.empty() || words.front() != "hook") return std::nullopt;
  words = words.subspan(1);
  skip_flags();
  return words;
}

}  // namespace

std::optional<NvidiaCdiHook> parse_nvidia_cdi_hook(const CdiHook& hook) {
  const auto command = command_of(hook);
  if (!command) return std::nullopt;
  if (command->empty()) return UnknownNvidiaHook{""};
  const std::string& name = command->front();
  const std::vector<Option> options = options_of(hook, command->subspan(1));
  if (name == "create-symlinks") return read_links(hook, options);
  if (name == "update-ldcache") return read_folders(hook, options);
  if (name == "enable-cuda-compat") return EnableCudaCompat{};
  if (name == "chmod") return ChangeModes{};
  if (name == "disable-device-node-modification") return DisableNodeModification{};
  if (name == "update-application-profile") return UpdateApplicationProfile{};
  return UnknownNvidiaHook{name};
}

}  // namespace mlctr::hooks
