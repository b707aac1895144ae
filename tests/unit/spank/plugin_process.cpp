#include "plugin_process.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace mlctr::test {
namespace {

int say_pipe = -1;

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = ::read(fd, buffer.data(), buffer.size())) > 0;) text.append(buffer.data(), got);
  ::close(fd);
  return text;
}

}  // namespace

Plugin::Plugin() : library_(::dlopen(SPANK_MLCTR, RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr) ::dprintf(STDERR_FILENO, "%s\n", ::dlerror());
}

int Plugin::call(const std::string& name, std::vector<std::string> arguments) {
  auto* const callback = reinterpret_cast<spank_f*>(::dlsym(library_, ("slurm_spank_" + name).c_str()));
  if (callback == nullptr) return 0;  // Slurm leaves out what a plugin doesn't have
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  return callback(&slurm, static_cast<int>(words.size()), words.data());
}

int Plugin::option(const std::string& name, const char* argument, int remote) {
  const auto option = std::ranges::find(slurm.registered, name, [](const spank_option& each) { return each.name; });
  if (option == slurm.registered.end()) return -1;
  return option->cb(option->val, argument, remote);
}

void say(const std::string& text) {
  [[maybe_unused]] const auto written = ::write(say_pipe, text.data(), text.size());
}

PluginResult in_process(const std::function<void(Plugin&)>& work) {
  int said[2];
  int written[2];
  REQUIRE(::pipe(said) == 0);
  REQUIRE(::pipe(written) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(said[0]);
    ::close(written[0]);
    ::dup2(said[1], STDERR_FILENO);
    ::close(said[1]);
    say_pipe = written[1];
    Plugin plugin;
    work(plugin);
    ::_exit(0);
  }
  ::close(said[1]);
  ::close(written[1]);
  PluginResult result{.status = 0, .said = read_all(said[0]), .written = read_all(written[0])};
  REQUIRE(::waitpid(child, &result.status, 0) == child);
  return result;
}

}  // namespace mlctr::test
