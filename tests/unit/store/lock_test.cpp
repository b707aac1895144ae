#include "store/lock.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/lease.hpp"
#include "tests/unit/store/child_process.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

// For as long as it lives, locks are of this kind.
class ForcedKind {
 public:
  explicit ForcedKind(const char* kind) { ::setenv("MLCTR_LOCKS", kind, 1); }
  ForcedKind(const ForcedKind&) = delete;
  ForcedKind& operator=(const ForcedKind&) = delete;
  ~ForcedKind() { ::unsetenv("MLCTR_LOCKS"); }
};

int read_count(const std::filesystem::path& file) {
  return std::stoi(read_file(file));
}

// A read and a write that lose counts unless they exclude each other.
void count_one_up(const std::filesystem::path& file) {
  const int before = read_count(file);
  ::usleep(500);
  const Fd fd = open_file(file, O_WRONLY);
  const std::string text = std::to_string(before + 1) + "\n";
  write_all(fd.get(), std::as_bytes(std::span(text)), file.string());
}

Lock acquire(const std::filesystem::path& path) {
  return Lock::acquire(path, {}, {});
}

std::size_t entries_in(const std::filesystem::path& directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
}

}  // namespace

TEST_CASE("a lock excludes other processes and other threads") {
  for (const char* kind : {"open_file", "lease"}) {
    CAPTURE(kind);
    const ForcedKind forced(kind);
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "layer", counter = directory.write("counter", "0\n");
    const auto count = [&] {
      for (int i = 0; i < 5; ++i) {
        const Lock lock = acquire(path);
        count_one_up(counter);
      }
      return 0;
    };
    {
      std::vector<ChildProcess> children;
      for (int i = 0; i < 4; ++i) children.emplace_back(count);
      std::jthread one(count), other(count);
      for (ChildProcess& child : children) CHECK(child.wait() == 0);
    }
    CHECK(read_count(counter) == 30);
  }
}

TEST_CASE("a lock stays exclusive while its files are removed under those who try for it") {
  for (const char* kind : {"open_file", "lease"}) {
    CAPTURE(kind);
    const ForcedKind forced(kind);
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "layer", inside = directory / "inside";
    const int rounds = std::string_view(kind) == "lease" ? 8 : 100;  // a lease syncs its file at every turn
    // No pause between tries: the moments between opening, locking and checking are what is tested.
    const auto contend = [&] {
      for (int held = 0; held < rounds;) {
        std::optional<Lock> lock = Lock::try_acquire(path);
        if (!lock) continue;
        const Fd alone(::open(inside.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!alone) return 1;
        ::usleep(100);
        ::unlink(inside.c_str());
        ++held % 2 == 0 ? lock->remove() : lock.reset();
        Lock::remove_idle(path);
      }
      return 0;
    };
    std::vector<ChildProcess> children;
    for (int i = 0; i < 6; ++i) children.emplace_back(contend);
    for (ChildProcess& child : children) CHECK(child.wait() == 0);
  }
}

TEST_CASE("who waits learns who holds the lock, once") {
  for (const char* kind : {"open_file", "lease"}) {
    CAPTURE(kind);
    const ForcedKind forced(kind);
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "layer";
    const Signal held, done;
    ChildProcess holder([&] {
      const Lock lock = acquire(path);
      held.send();
      done.await();
      return 0;
    });
    held.await();
    CHECK(Lock::is_held(path));
    CHECK_FALSE(Lock::try_acquire(path));
    std::vector<LockOwner> owners;
    const Lock lock = Lock::acquire(path, {}, [&](const LockOwner& owner) {
      owners.push_back(owner);
      done.send();
    });
    REQUIRE(owners.size() == 1);
    CHECK(owners[0].pid == holder.pid());
    CHECK(owners[0].host == LockOwner::current().host);
    CHECK(holder.wait() == 0);
  }
}

TEST_CASE("a stop ends the wait for a lock") {
  for (const char* kind : {"open_file", "lease"}) {
    CAPTURE(kind);
    const ForcedKind forced(kind);
    const TemporaryDirectory directory;
    const Lock lock = acquire(directory / "layer");
    std::stop_source stop;
    const auto wait = [&] {
      return Lock::acquire(directory / "layer", stop.get_token(), [&](const LockOwner&) { stop.request_stop(); });
    };
    CHECK_THROWS_AS(wait(), Cancelled);
  }
}

TEST_CASE("a killed holder's open-file lock is free at once") {
  const ForcedKind forced("open_file");
  const TemporaryDirectory directory;
  const Signal held;
  ChildProcess holder([&] {
    const Lock lock = acquire(directory / "layer");
    held.send();
    ::pause();
    return 0;
  });
  held.await();
  CHECK_FALSE(Lock::try_acquire(directory / "layer"));
  holder.kill();
  CHECK_FALSE(Lock::is_held(directory / "layer"));
  CHECK(Lock::try_acquire(directory / "layer"));
}

TEST_CASE("a released lock is free, and leaves no file where it is removed") {
  const TemporaryDirectory directory;
  {
    const Lock lock = acquire(directory / "layer");
    CHECK(Lock::is_held(directory / "layer"));
  }
  CHECK_FALSE(Lock::is_held(directory / "layer"));
  CHECK(entries_in(directory.path()) == 1);
  Lock::remove_idle(directory / "layer");
  CHECK(entries_in(directory.path()) == 0);
}

TEST_CASE("a killed holder's lease is taken over, by one at a time of many who watched it") {
  const TemporaryDirectory directory;
  const std::filesystem::path lease = directory / "layer.lease", counter = directory.write("counter", "0\n");
  constexpr LeaseTimes k_times{.renewal = std::chrono::milliseconds(50), .expiry = std::chrono::milliseconds(1500)};
  const Signal held;
  ChildProcess holder([&] {
    const LockAttempt attempt = LeaseWatch(lease, k_times).attempt();
    held.send();
    ::pause();
    return std::holds_alternative<LockOwner>(attempt) ? 1 : 0;
  });
  held.await();
  std::vector<ChildProcess> watchers;
  for (int i = 0; i < 8; ++i) {
    watchers.emplace_back([&] {
      LeaseWatch watch(lease, k_times);
      for (;;) {
        const LockAttempt attempt = watch.attempt();
        if (std::holds_alternative<std::unique_ptr<Lock::Held>>(attempt)) {
          count_one_up(counter);
          return 0;
        }
        ::usleep(2000);
      }
    });
  }
  holder.kill();
  for (ChildProcess& watcher : watchers) CHECK(watcher.wait() == 0);
  CHECK(read_count(counter) == 8);
  CHECK_FALSE(is_leased(lease));
  CHECK(entries_in(lease) == 1);
}

TEST_CASE("a lease whose holder renews it is not taken over") {
  const TemporaryDirectory directory;
  const std::filesystem::path lease = directory / "layer.lease";
  // The counter must change between any two looks that are an expiry apart; the file says whether it does.
  const LockAttempt held =
      LeaseWatch(lease, {.renewal = std::chrono::milliseconds(5), .expiry = std::chrono::hours(1)}).attempt();
  REQUIRE(std::holds_alternative<std::unique_ptr<Lock::Held>>(held));
  const std::string first = read_file(lease / "1");
  CHECK(first.starts_with("held "));
  std::string later = first;
  while (later == first) later = read_file(lease / "1");
  CHECK(later.size() == first.size());
  CHECK(std::holds_alternative<LockOwner>(LeaseWatch(lease).attempt()));
}

TEST_CASE("a holder that lost its lease does not disturb the one who has it") {
  const TemporaryDirectory directory;
  const std::filesystem::path lease = directory / "layer.lease";
  LockAttempt sleeper = LeaseWatch(lease, {.renewal = std::chrono::hours(1)}).attempt();
  REQUIRE(std::holds_alternative<std::unique_ptr<Lock::Held>>(sleeper));
  LeaseWatch watch(lease, {.renewal = std::chrono::hours(1), .expiry = std::chrono::milliseconds(0)});
  LockAttempt taken = watch.attempt();
  while (std::holds_alternative<LockOwner>(taken)) taken = watch.attempt();
  sleeper = LockOwner{};  // it wakes up and releases
  CHECK(is_leased(lease));
  CHECK(std::holds_alternative<LockOwner>(LeaseWatch(lease).attempt()));
}

TEST_CASE("a lease that nobody touched for hours is taken at the first look") {
  const TemporaryDirectory directory;
  const std::filesystem::path old = directory.write("layer.lease/7", "held 00000000000000000003 node7 123 boot\n");
  CHECK(is_leased(directory / "layer.lease"));
  const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, old.c_str(), times, 0) == 0);
  CHECK_FALSE(is_leased(directory / "layer.lease"));
  const ForcedKind forced("lease");
  const std::optional<Lock> lock = Lock::try_acquire(directory / "layer");
  CHECK(lock);
  CHECK_FALSE(std::filesystem::exists(old));
}

TEST_CASE("hostile input: files in a lease's place that are no leases") {
  const ForcedKind forced("lease");
  const TemporaryDirectory directory;
  SUBCASE("names that are no generations, or too high to count on") {
    directory.write("layer.lease/18446744073709551615", "held");
    directory.write("layer.lease/-1", "held");
    directory.write("layer.lease/007", "held");
    CHECK(Lock::try_acquire(directory / "layer"));
  }
  SUBCASE("an owner with terminal escapes is not shown") {
    directory.write("layer.lease/3", "held 00000000000000000003 \033[2Jnode 123 boot\n");
    const LockAttempt attempt = LeaseWatch(directory / "layer.lease").attempt();
    CHECK(std::get<LockOwner>(attempt).host.empty());
  }
  SUBCASE("a lease that is a symlink elsewhere") {
    const TemporaryDirectory elsewhere;
    std::filesystem::create_directory_symlink(elsewhere.path(), directory / "layer.lease");
    CHECK_THROWS_AS(Lock::try_acquire(directory / "layer"), Error);
    CHECK(entries_in(elsewhere.path()) == 0);
  }
}

TEST_CASE("hostile input: a lock file that is a symlink is not followed") {
  const ForcedKind forced("open_file");
  const TemporaryDirectory directory;
  const std::filesystem::path precious = directory.write("precious", "do not truncate");
  std::filesystem::create_symlink(precious, directory / "layer.lock");
  CHECK_THROWS_AS(Lock::try_acquire(directory / "layer"), SysError);
  CHECK(read_file(precious) == "do not truncate");
}

TEST_CASE("an owner survives writing and reading; anything else is an unknown one") {
  const LockOwner me = LockOwner::current();
  const LockOwner back = LockOwner::parse(me.to_string() + "\n");
  CHECK(back.host == me.host);
  CHECK(back.pid == ::getpid());
  CHECK(back.boot_id == me.boot_id);
  for (const char* text :
       {"", "host", "host x boot", "host -3 boot", "host 99999999999999999999 boot", "\xff\xfe 1 b"}) {
    CAPTURE(text);
    CHECK(LockOwner::parse(text).host.empty());
    CHECK(LockOwner::parse(text).pid == 0);
  }
}
