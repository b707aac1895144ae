#include "app/fetch_repository.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "base/process.hpp"
#include "store/remove_tree.hpp"

namespace mlctr {
namespace {

constexpr std::chrono::seconds k_longest_fetch{1800};
constexpr int k_no_program = 127;  // env's, of a program that is not there
constexpr std::size_t k_fewest_hash_digits = 7;

// What a caller's environment could turn git to: another repository, other settings, other programs.
constexpr const char* k_git_variables[] = {"GIT_DIR",
                                      "GIT_WORK_TREE",
                                      "GIT_INDEX_FILE",
                                      "GIT_OBJECT_DIRECTORY",
                                      "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                                      "GIT_COMMON_DIR",
                                      "GIT_NAMESPACE",
                                      "GIT_CONFIG_PARAMETERS",
                                      "GIT_CONFIG_COUNT",
                                      "GIT_TEMPLATE_DIR",
                                      "GIT_ATTR_SOURCE",
                                      "GIT_SSH"};

enum class GitSettings { of_the_user, none };

class GitProgram {
 public:
  GitProgram(const build::GitSource& source, const std::filesystem::path& tree)
      : source_(source), tree_(tree), repository_(tree.string() + ".git") {}

  // Trimmed standard output.
  std::string run(GitSettings settings, const std::vector<std::string>& words) const {
    std::vector<std::string> arguments{"env"};
    for (const char* name : k_git_variables) arguments.insert(arguments.end(), {"-u", name});
    arguments.insert(arguments.end(), {"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:http:ssh:git",
                                       "GIT_SSH_COMMAND=ssh -oBatchMode=yes"});
    if (settings == GitSettings::none) {
      arguments.insert(arguments.end(), {"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1"});
    }
    arguments.insert(arguments.end(), {"git", "--git-dir=" + repository_.string(), "--work-tree=" + tree_.string(), "-c",
                                       "core.hooksPath=/dev/null", "-c", "fetch.fsckObjects=true"});
    arguments.insert(arguments.end(), words.begin(), words.end());
    const ProcessResult result = run_process({.arguments = arguments, .timeout = k_longest_fetch});
    if (result.exit_code == k_no_program) throw Error("git is not installed here", "COPY a clone, or RUN git clone");
    if (result.exit_code != 0) refuse(result.standard_error);
    return result.standard_output.substr(0, result.standard_output.find_last_not_of('\n') + 1);
  }

  const std::filesystem::path& repository() const noexcept { return repository_; }

 private:
  [[noreturn]] void refuse(std::string said) const {
    said.erase(said.find_last_not_of('\n') + 1);
    throw Error(fmt::format("cannot get {} at {}: {}", printable(source_.url, 1024), printable(source_.reference),
                            printable(said.substr(said.rfind('\n') + 1), 1024)),
                "git asks no questions here: for what is not public, ssh's agent or a credential helper must know the answer");
  }

  const build::GitSource& source_;
  const std::filesystem::path tree_, repository_;
};

void check_commit(const std::string& found, const std::string& wanted, const build::GitSource& source) {
  if (wanted.empty()) return;
  if (wanted.size() >= k_fewest_hash_digits && found.starts_with(wanted)) return;
  throw Error(fmt::format("{} at {} is not what --checksum says: it is {}", printable(source.url, 1024),
                          printable(source.reference), printable(found)),
              "of a repository, --checksum is the commit's hash");
}

// As git means them, whatever our umask.
void normalise_modes(const std::filesystem::path& directory) {
  ::chmod(directory.c_str(), 0755);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) != 0) throw SysError("cannot look at " + printable(entry.path().string()));
    const bool runs = S_ISDIR(status.st_mode) || (status.st_mode & S_IXUSR) != 0;
    if (!S_ISLNK(status.st_mode)) ::chmod(entry.path().c_str(), runs ? 0755 : 0644);
  }
}

}  // namespace

void fetch_repository(const build::GitSource& source, const std::string& commit,
                      const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0) throw SysError("cannot make " + directory.string());
  const GitProgram git(source, directory);
  git.run(GitSettings::none, {"init", "--quiet", "--template="});
  git.run(GitSettings::of_the_user, {"fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--",
                                  source.url, source.reference});
  check_commit(git.run(GitSettings::none, {"rev-parse", "--verify", "FETCH_HEAD^{commit}"}), commit, source);
  git.run(GitSettings::none, {"checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"});
  if (std::filesystem::exists(std::filesystem::symlink_status(directory / ".gitmodules"))) {
    throw Error(fmt::format("{} has submodules, which ADD does not get", printable(source.url, 1024)),
                "RUN git clone --recurse-submodules");
  }
  remove_tree(git.repository());
  normalise_modes(directory);
}

}  // namespace mlctr
