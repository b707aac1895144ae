#include "app/slurm_containers.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <future>
#include <nlohmann/json.hpp>
#include <tuple>

#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "app/slurm_program.hpp"
#include "app/step_holder.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/process.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_most_bytes_of_image = 400;  // slurmstepd cuts lines at 1 KiB (its eio buffers)
constexpr std::size_t k_sruns_at_once = 16;
constexpr std::chrono::seconds k_srun_end{3};  // how long one may take to end once it is told to

std::string name_in_queue() {
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : std::to_string(::getuid());
}

struct JobStep {
  std::string job, step;
};

// Of a key as key_of() makes them: "JOB.STEP.RESTART-KEEPER".
JobStep parse_key(const std::string& key) {
  const std::size_t first = std::min(key.find('.'), key.size());
  const std::size_t second = std::min(key.find('.', std::min(first + 1, key.size())), key.size());
  return {key.substr(0, first), first == key.size() ? "" : key.substr(first + 1, second - first - 1)};
}

std::optional<SlurmContainer> look_at_step(const RuntimeDirectory& directory, const std::string& key) {
  const auto answer = ask_step(key, k_look);
  if (!answer || answer->container_socket.empty()) return std::nullopt;
  const auto container = look_at_running(directory, answer->container_socket);
  if (!container || container->pids.empty()) return std::nullopt;
  auto [job, step] = parse_key(key);
  return SlurmContainer{
      .job = std::move(job),
      .step = std::move(step),
      .node = name_of_node(),
      .user = name_in_queue(),
      .id = container->name.empty() ? id_of_unnamed(answer->container_socket) : container->name,
      .name = container->name,
      .image = container->image,
      .processes = container->pids.size(),
      .started_at = container->started_at,
  };
}

std::string shortened(const std::string& image) {
  if (image.size() <= k_most_bytes_of_image) return image;
  return "..." + image.substr(image.size() - k_most_bytes_of_image);  // a path's end says more
}

std::optional<nlohmann::json> parse_object(std::string_view line) {
  auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) return std::nullopt;  // what a prolog prints, for instance
  return json;
}

std::optional<SlurmContainer> to_container(const nlohmann::json& json) {
  try {
    return SlurmContainer{.job = json.at("job"),
                          .step = json.at("step"),
                          .node = json.at("node"),
                          .user = json.at("user"),
                          .id = json.at("id"),
                          .name = json.at("name"),
                          .image = json.at("image"),
                          .processes = json.at("processes"),
                          .started_at = json.at("started")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::string first_line(const std::string& text) {
  return printable(text.substr(0, text.find('\n')), 300);
}

// coreutils' timeout lets what was printed until then be read, and srun end its step.
NodesAnswer ask_job(const std::string& srun, const SlurmJob& job, std::chrono::seconds patience) {
  std::vector<std::string> words{"timeout",
                                 fmt::format("--kill-after={}", k_srun_end.count()),
                                 std::to_string(patience.count()),
                                 srun,
                                 "--quiet",
                                 "--input=none",
                                 "--chdir=/"};
  for (std::string& word : words_beside(job.id, job.nodes)) words.push_back(std::move(word));
  for (const std::string& word :
       {std::filesystem::read_symlink("/proc/self/exe").string(), std::string("step"), std::string("list")}) {
    words.push_back(word);
  }
  const ProcessResult result =
      run_process({.arguments = std::move(words), .timeout = patience + 2 * k_srun_end, .max_output_bytes = 16u << 20});
  NodesAnswer answer = parse_lines(result.standard_output, job.nodes, job.id);
  constexpr int k_timed_out = 124, k_killed = 137;
  const bool is_late = result.exit_code == k_timed_out || result.exit_code == k_killed;
  const std::string cause =
      is_late ? fmt::format("no answer within {} s", patience.count()) : first_line(result.standard_error);
  for (SilentNode& silent : answer.silent) silent.cause = cause.empty() ? "no answer" : cause;
  return answer;
}

NodesAnswer ask_job_or_tell(const std::string& srun, const SlurmJob& job, std::chrono::seconds patience) {
  try {
    return ask_job(srun, job, patience);
  } catch (const Error& error) {
    NodesAnswer answer = parse_lines("", job.nodes, job.id);
    for (SilentNode& silent : answer.silent) silent.cause = error.message();
    return answer;
  }
}

}  // namespace

std::string name_of_node() {
  const char* node = std::getenv("SLURMD_NODENAME");
  if (node != nullptr && *node != '\0') return node;
  std::array<char, HOST_NAME_MAX + 1> name{};
  ::gethostname(name.data(), name.size() - 1);
  const std::string host = name.data();
  return host.substr(0, host.find('.'));
}

std::vector<SlurmContainer> list_node_containers() {
  const RuntimeDirectory directory = open_runtime_directory();
  remove_dead_step_sockets();
  std::vector<SlurmContainer> containers;
  for (const std::string& key : list_step_keys()) {
    if (auto container = look_at_step(directory, key)) containers.push_back(std::move(*container));
  }
  sort_containers(containers);
  return containers;
}

std::string to_lines(const std::string& node, const std::vector<SlurmContainer>& containers) {
  constexpr auto k_replace = nlohmann::json::error_handler_t::replace;  // a path need not be UTF-8
  std::string lines;
  for (const SlurmContainer& container : containers) {
    const nlohmann::json line{{"job", container.job},
                              {"step", container.step},
                              {"node", container.node},
                              {"user", container.user},
                              {"id", container.id},
                              {"name", container.name},
                              {"image", shortened(container.image)},
                              {"processes", container.processes},
                              {"started", container.started_at}};
    lines += line.dump(-1, ' ', true, k_replace) + "\n";
  }
  return lines + nlohmann::json{{"answered", node}}.dump() + "\n";
}

NodesAnswer parse_lines(std::string_view text, const std::vector<std::string>& asked, std::string_view job) {
  NodesAnswer answer;
  std::vector<std::string> answered;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto json = parse_object(line);
    if (!json) continue;
    if (auto container = to_container(*json)) answer.containers.push_back(std::move(*container));
    if (json->contains("answered") && json->at("answered").is_string()) answered.push_back(json->at("answered"));
  }
  for (const std::string& node : asked) {
    if (std::ranges::find(answered, node) == answered.end()) {
      answer.silent.push_back({.node = node, .job = std::string(job), .cause = {}});
    }
  }
  return answer;
}

NodesAnswer ask_nodes(const std::vector<SlurmJob>& jobs, std::chrono::seconds patience) {
  const auto srun = find_slurm_program("srun");
  if (!srun)
    throw Error("cannot find Slurm's srun in PATH", "with `module load slurm`, or on a login node, it is there");
  NodesAnswer all;
  for (std::size_t begin = 0; begin < jobs.size(); begin += k_sruns_at_once) {
    std::vector<std::future<NodesAnswer>> answers;
    for (std::size_t i = begin; i < std::min(begin + k_sruns_at_once, jobs.size()); ++i) {
      answers.push_back(std::async(std::launch::async, ask_job_or_tell, srun->string(), std::cref(jobs[i]), patience));
    }
    for (auto& pending : answers) {
      NodesAnswer answer = pending.get();
      all.containers.insert(all.containers.end(), answer.containers.begin(), answer.containers.end());
      all.silent.insert(all.silent.end(), answer.silent.begin(), answer.silent.end());
    }
  }
  sort_containers(all.containers);
  return all;
}

void sort_containers(std::vector<SlurmContainer>& containers) {
  const auto number = [](const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); };
  const auto order = [&](const SlurmContainer& one) {
    return std::tuple(number(one.job), one.job, number(one.step), one.step, one.node, one.id);
  };
  std::ranges::sort(containers, {}, order);
  const auto repeated = std::ranges::unique(containers, {}, order);
  containers.erase(repeated.begin(), repeated.end());
}

}  // namespace mlctr
