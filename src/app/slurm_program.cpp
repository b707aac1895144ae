#include "app/slurm_program.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.hpp"
#include "base/ignored_signals.hpp"

namespace mlctr {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const struct stat& a, const fs::path& b) {
  struct stat other;
  return ::stat(b.c_str(), &other) == 0 && a.st_dev == other.st_dev && a.st_ino == other.st_ino;
}

bool is_of_step(std::string_view variable) {
  constexpr std::array<std::string_view, 8> k_beginnings{"SLURM_", "SLURMD_", "_SLURM_SPANK_",    "SRUN_",
                                                         "PMI",    "OMPI_",   "MLCTR_CONTAINER_", "PYXIS_CONTAINER_"};
  constexpr std::string_view k_where_the_cluster_is = "SLURM_CONF=";
  return !variable.starts_with(k_where_the_cluster_is) &&
         std::ranges::any_of(k_beginnings, [&](std::string_view beginning) { return variable.starts_with(beginning); });
}

}  // namespace

std::optional<fs::path> find_slurm_program(std::string_view name) {
  const fs::path ourselves = fs::read_symlink("/proc/self/exe");
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(directory.size() + 1, rest.size()));
    const fs::path candidate = fs::path(directory.empty() ? "." : directory) / name;
    struct stat status;
    const bool is_program =
        ::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(candidate.c_str(), X_OK) == 0;
    if (is_program && !is_same_file(status, ourselves)) return candidate;
  }
  return std::nullopt;
}

void become_slurm_program(const fs::path& program, const std::vector<std::string>& words) {
  std::string name = program.filename();
  std::vector<char*> arguments{name.data()};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  restore_write_signals();  // srun's tasks inherit them
  ::execv(program.c_str(), arguments.data());
  throw SysError(fmt::format("cannot run {}", program.string()));
}

std::vector<std::string> words_beside(std::string_view job, const std::vector<std::string>& nodes) {
  const std::size_t plus = std::min(job.find('+'), job.size());
  std::vector<std::string> words{fmt::format("--jobid={}", job.substr(0, plus))};
  if (plus < job.size()) words.push_back(fmt::format("--het-group={}", job.substr(plus + 1)));
  const std::vector<std::string> more{"--overlap",
                                      "--mpi=none",
                                      "--cpu-bind=none",
                                      "--ntasks-per-node=1",
                                      fmt::format("--nodes={}", nodes.size()),
                                      fmt::format("--ntasks={}", nodes.size()),
                                      fmt::format("--nodelist={}", fmt::join(nodes, ","))};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void forget_step() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    if (is_of_step(variable)) names.emplace_back(variable.substr(0, variable.find('=')));
  }
  for (const std::string& name : names) ::unsetenv(name.c_str());
}

}  // namespace mlctr
