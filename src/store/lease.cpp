#include "store/lease.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/thread.hpp"
#include "store/file_time.hpp"
#include "store/sharing.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_free = "free\n";
constexpr std::string_view k_held = "held ";
constexpr std::uint64_t k_max_generation = 1'000'000'000'000'000'000;  // a planted file must not make numbers overflow

std::optional<std::uint64_t> parse_generation(const std::string& name) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_canonical = error == std::errc() && std::to_string(number) == name;
  return is_canonical && number > 0 && number < k_max_generation ? std::optional(number) : std::nullopt;
}

// Ascending; empty where the directory is not there.
std::vector<std::uint64_t> list_generations(const std::filesystem::path& directory) {
  std::vector<std::uint64_t> generations;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (const auto number = parse_generation(it->path().filename().string())) generations.push_back(*number);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw SysError("cannot list " + directory.string(), error.value());
  }
  std::sort(generations.begin(), generations.end());
  return generations;
}

std::string held_content(std::uint64_t counter) {
  return fmt::format("{}{:020} {}\n", k_held, counter, LockOwner::current().to_string());
}

LockOwner parse_owner(std::string_view content) {
  constexpr std::size_t k_prefix = k_held.size() + 21;
  return LockOwner::parse(content.starts_with(k_held) && content.size() > k_prefix ? content.substr(k_prefix) : "");
}

// fsync, because a network filesystem shows other nodes what was written only then.
void rewrite(int fd, std::string_view content) noexcept {
  [[maybe_unused]] const bool is_written = ::pwrite(fd, content.data(), content.size(), 0) >= 0 && ::fsync(fd) == 0;
}

class HeldLease final : public Lock::Held {
 public:
  HeldLease(Fd fd, std::chrono::milliseconds renewal) : fd_(std::move(fd)) {
    try {
      const SignalsBlocked blocked;
      renewer_ = start_thread("keep a lease of the store",
                              [this, renewal](const std::stop_token& stop) { renew(stop, renewal); });
    } catch (...) {
      rewrite(fd_.get(), k_free);  // others would wait until it expires
      throw;
    }
  }

  ~HeldLease() override {
    renewer_.request_stop();
    renewer_.join();
    // Where the lease was taken from us meanwhile, this file has no name any more and nobody reads it.
    rewrite(fd_.get(), k_free);
    [[maybe_unused]] const int ignored = ::ftruncate(fd_.get(), k_free.size());
  }

  // Generations must keep growing, so the last one stays; remove_idle_lease takes it a day later.
  void remove() override {}

 private:
  void renew(const std::stop_token& stop, std::chrono::milliseconds renewal) {
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    for (std::uint64_t counter = 1; !woken.wait_for(lock, stop, renewal, [&] { return stop.stop_requested(); });
         ++counter) {
      rewrite(fd_.get(), held_content(counter));
    }
  }

  Fd fd_;
  std::jthread renewer_;
};

// sshfs shows a directory as it was for 20 s, NFS for up to a minute. What this host changes in it, it looks at anew:
// without that, each turn of a lease between two nodes would take as long. Only when a listing has been found wrong: a
// thousand nodes may be watching.
void refresh_listing(const std::filesystem::path& directory) {
  try {
    const TemporaryFile change(directory / ("look-" + random_suffix()));
  } catch (const SysError&) {
    return;  // no longer there, or not ours to write: as it is, then
  }
}

bool is_free(std::string_view content) {
  return content.starts_with(k_free);
}

// Nobody changed it for so long that even clocks that differ can't explain it.
bool is_abandoned(const std::filesystem::path& directory, std::uint64_t generation, std::chrono::seconds abandonment) {
  struct stat status {};
  if (::lstat((directory / std::to_string(generation)).c_str(), &status) != 0) return false;
  return filesystem_now(directory) - modification_time(status) > abandonment;
}

}  // namespace

LeaseWatch::LeaseWatch(std::filesystem::path directory, LeaseTimes times)
    : directory_(std::move(directory)), times_(times), last_changed_(std::chrono::steady_clock::now()) {}

LeaseWatch::State LeaseWatch::read_state() const {
  std::uint64_t missing = 0;
  for (;;) {
    const std::vector<std::uint64_t> generations = list_generations(directory_);
    if (generations.empty()) return {};
    const std::uint64_t highest = generations.back();
    const std::filesystem::path file = directory_ / std::to_string(highest);
    // Opened anew each time: that is when a network filesystem asks its server for news.
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && (errno == ENOENT || errno == ESTALE)) {
      // Listed again and again, and not there: as good as a holder that does nothing.
      if (missing == highest) return {highest, std::string(k_held)};
      missing = highest;
      refresh_listing(directory_);
      continue;
    }
    if (!fd) throw SysError("cannot open " + file.string());
    std::string content(512, '\0');
    content.resize(read_at(fd.get(), std::as_writable_bytes(std::span(content)), 0, file.string()));
    return {highest, std::move(content)};
  }
}

bool LeaseWatch::is_dead(const State& state) {
  const auto now = std::chrono::steady_clock::now();
  const bool is_new = last_.generation == 0;
  if (state != last_) {
    last_ = state;
    last_changed_ = now;
    return is_new && is_abandoned(directory_, state.generation, times_.abandonment);
  }
  return now - last_changed_ > times_.expiry;
}

LockAttempt LeaseWatch::attempt() {
  const State state = read_state();
  if (state.generation != 0 && !is_free(state.content) && !is_dead(state)) return parse_owner(state.content);
  if (std::unique_ptr<Lock::Held> held = claim(state.generation + 1)) return held;
  return LockOwner{};  // someone was faster
}

std::unique_ptr<Lock::Held> LeaseWatch::claim(std::uint64_t generation) const {
  make_store_directory(directory_);
  const std::filesystem::path file = directory_ / std::to_string(generation);
  Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd) {
    const int reason = errno;
    struct stat status {};
    // SFTP has no word for "it exists": sshfs says EPERM then.
    const bool is_there = reason == EEXIST || ::lstat(file.c_str(), &status) == 0;
    if (!is_there && reason != ENOENT) throw SysError("cannot create " + file.string(), reason);
    refresh_listing(directory_);
    return nullptr;
  }
  share_with_group(fd.get(), directory_);
  rewrite(fd.get(), held_content(0));
  sync_directory(directory_);

  const std::vector<std::uint64_t> generations = list_generations(directory_);
  if (generations.empty() || generations.back() != generation) {
    ::unlink(file.c_str());
    return nullptr;
  }
  for (const std::uint64_t older : generations) {
    if (older < generation) ::unlink((directory_ / std::to_string(older)).c_str());
  }
  return std::make_unique<HeldLease>(std::move(fd), times_.renewal);
}

bool is_leased(const std::filesystem::path& directory) {
  const std::vector<std::uint64_t> generations = list_generations(directory);
  if (generations.empty()) return false;
  try {
    const std::string content = read_file(directory / std::to_string(generations.back()));
    return !is_free(content) && !is_abandoned(directory, generations.back(), LeaseTimes{}.abandonment);
  } catch (const SysError& error) {
    return error.errno_value() == ENOENT;  // just taken over: held
  }
}

void remove_idle_lease(const std::filesystem::path& directory) {
  const std::vector<std::uint64_t> generations = list_generations(directory);
  constexpr std::chrono::hours k_idle{24};
  if (!generations.empty() && !is_abandoned(directory, generations.back(), k_idle)) return;
  for (const std::uint64_t generation : generations) ::unlink((directory / std::to_string(generation)).c_str());
  ::rmdir(directory.c_str());
}

}  // namespace mlctr
