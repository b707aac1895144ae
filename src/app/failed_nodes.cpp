#include "app/failed_nodes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <map>
#include <thread>

#include "base/fd.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

constexpr std::chrono::milliseconds k_look_every{20};
constexpr std::time_t k_abandoned_after_s = 60;  // far longer than anybody waits there

// "n007" is {"n", 3 digits} and 7.
struct Series {
  std::string prefix;
  std::size_t digits;
  auto operator<=>(const Series&) const = default;
};

std::string fold_numbers(std::vector<unsigned long> numbers, std::size_t digits) {
  std::ranges::sort(numbers);
  std::vector<std::string> ranges;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    ranges.push_back(i == last ? fmt::format("{:0{}}", numbers[i], digits)
                               : fmt::format("{:0{}}-{:0{}}", numbers[i], digits, numbers[last], digits));
    i = last + 1;
  }
  return fmt::format("{}", fmt::join(ranges, ","));
}

// Signals that end the step meanwhile must not take the cause along: they wait, too.
class HeldSignals {
 public:
  HeldSignals() {
    sigset_t held;
    ::sigemptyset(&held);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&held, signal);
    ::pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals() {
    const timespec now{};
    sigset_t held;
    ::sigemptyset(&held);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&held, signal);
    while (::sigtimedwait(&held, nullptr, &now) > 0) {  // what is told now is why it ends
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_{};
};

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  return names;
}

void remove_if_abandoned(const std::filesystem::path& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0 || status.st_mtime > std::time(nullptr) - k_abandoned_after_s) return;
  std::error_code error;
  std::filesystem::remove_all(directory, error);
}

// False where nobody waits there (any more).
bool tell_who_waits(const std::filesystem::path& directory, const std::string& node) {
  return static_cast<bool>(Fd(::open((directory / node).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
}

// What comes to the directory after its new name is not seen by who waited, and finds no directory.
std::vector<std::string> close_and_list(const std::filesystem::path& directory) {
  const std::filesystem::path closed = fmt::format("{}.{}", directory.string(), random_suffix());
  if (::rename(directory.c_str(), closed.c_str()) != 0) return {};
  std::vector<std::string> names = names_in(closed);
  std::error_code error;
  std::filesystem::remove_all(closed, error);
  return names;
}

}  // namespace

std::string fold_node_names(std::vector<std::string> names) {
  std::map<Series, std::vector<unsigned long>> numbered;
  std::vector<std::string> folded;
  std::ranges::sort(names);
  for (const std::string& name : names) {
    const std::size_t letters = name.find_last_not_of("0123456789") + 1;
    unsigned long number = 0;
    const auto [end, mistake] = std::from_chars(name.data() + letters, name.data() + name.size(), number);
    if (letters == name.size() || mistake != std::errc{}) {
      folded.push_back(name);
    } else {
      const bool is_padded = name[letters] == '0' && name.size() - letters > 1;
      numbered[{name.substr(0, letters), is_padded ? name.size() - letters : 0}].push_back(number);
    }
  }
  for (const auto& [series, numbers] : numbered) {
    const std::string text = fold_numbers(numbers, series.digits);
    folded.push_back(series.prefix + (numbers.size() == 1 ? text : fmt::format("[{}]", text)));
  }
  return fmt::format("{}", fmt::join(folded, ","));
}

std::vector<std::string> nodes_that_failed(const std::filesystem::path& place, const SlurmStep& step,
                                           std::string_view cause, unsigned nodes, std::chrono::milliseconds patience) {
  const std::vector<std::string> alone{step.node};
  if (nodes < 2 || step.node.empty() || step.node.find('/') != std::string::npos) return alone;
  const std::filesystem::path directory =
      place / fmt::format("failed-{}.{}.{}-{:016x}", step.job, step.step, step.restart, std::hash<std::string_view>{}(cause));
  std::error_code ignored;
  std::filesystem::create_directories(place, ignored);
  remove_if_abandoned(directory);
  if (::mkdir(directory.c_str(), 0700) != 0) {
    return errno == EEXIST && tell_who_waits(directory, step.node) ? std::vector<std::string>{} : alone;
  }
  const HeldSignals held;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < deadline && names_in(directory).size() + 1 < nodes) {
    std::this_thread::sleep_for(k_look_every);
  }
  std::vector<std::string> names = close_and_list(directory);
  if (std::ranges::find(names, step.node) == names.end()) names.push_back(step.node);
  return names;
}

}  // namespace mlctr
