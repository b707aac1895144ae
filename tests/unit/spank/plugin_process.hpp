// The plugin in a process of its own, as Slurm's programs have it: what it does to a process can't be undone, and what
// it keeps must be new each time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fake_slurm.hpp"

namespace mlctr::test {

class Plugin {
 public:
  Plugin();
  /// Calls slurm_spank_NAME(); `arguments` are those of plugstack.conf.
  int call(const std::string& name, std::vector<std::string> arguments = {});
  /// As Slurm does with an option of the command line.
  int option(const std::string& name, const char* argument, int remote);

 private:
  void* library_;
};

struct PluginResult {
  int status;           ///< as waitpid has it
  std::string said;     ///< on standard error, Slurm's messages among it
  std::string written;  ///< by say()
};

/// Runs `work` in a forked process, which ends with 0 where it returns.
PluginResult in_process(const std::function<void(Plugin&)>& work);

/// Hands text to the parent.
void say(const std::string& text);

}  // namespace mlctr::test
