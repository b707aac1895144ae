#include "registry/exchange.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/thread.hpp"
#include "registry/ca_bundle.hpp"
#include "registry/late_libcurl.hpp"
#include "registry/transfer.hpp"

namespace mlctr {
namespace {

using Clock = Transfer::Clock;

// How often stalls are looked for, and the longest that a wake-up lost by the kernel could cost.
constexpr int k_poll_milliseconds = 250;
// One round over all transfers takes longer than this only when a sink blocked (a network filesystem's pause).
constexpr std::chrono::seconds k_blocked{1};

struct CloseMulti {
  void operator()(CURLM* multi) const noexcept { libcurl().multi_cleanup(multi); }
};

const char* built_in_ca_file() {
  // Not std::call_once: glibc's unwinds with a libgcc of its own, which aborts where the library can't be loaded.
  [[maybe_unused]] static const CURLcode initialised = libcurl().global_init(CURL_GLOBAL_DEFAULT);
  const curl_version_info_data* built = libcurl().version_info(CURLVERSION_NOW);
  return built->age >= CURLVERSION_EIGHTH ? built->cainfo : nullptr;
}

}  // namespace

struct ExchangeEngine::Impl {
  Impl();
  ~Impl();
  void add(Transfer& transfer);
  void wake() const { libcurl().multi_wakeup(multi.get()); }
  void loop();
  void take_arrivals();
  void perform();
  void collect_ended();
  void drop_cancelled_and_stalled();
  void finish(Transfer& transfer);

  CaBundle bundle;
  std::unique_ptr<CURLM, CloseMulti> multi;
  std::mutex mutex;
  std::condition_variable finished;
  std::vector<Transfer*> arrivals;  // under mutex
  bool ending = false;              // under mutex
  std::vector<Transfer*> active;    // the loop's own
  std::jthread thread;
};

ExchangeEngine::Impl::Impl() : bundle(built_in_ca_file()), multi(libcurl().multi_init()) {
  if (multi == nullptr) throw std::bad_alloc();
  // A connection for each layer: on a long way one TCP flow is slower than several, and a break hurts one layer only.
  libcurl().multi_setopt(multi.get(), CURLMOPT_MAX_CONCURRENT_STREAMS, 1L);
  const SignalsBlocked blocked;
  thread = start_thread("talk to registries", [this] { loop(); });
}

ExchangeEngine::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex);
    ending = true;
  }
  wake();
  thread.join();
}

void ExchangeEngine::Impl::add(Transfer& transfer) {
  {
    const std::lock_guard lock(mutex);
    arrivals.push_back(&transfer);
  }
  wake();
}

void ExchangeEngine::Impl::loop() {
  for (;;) {
    {
      const std::lock_guard lock(mutex);
      if (ending) return;
    }
    take_arrivals();
    perform();
    collect_ended();
    drop_cancelled_and_stalled();
    libcurl().multi_poll(multi.get(), nullptr, 0, k_poll_milliseconds, nullptr);
  }
}

// Easy handles belong to one thread at a time (libcurl-thread(3)): others only leave theirs here and wake the loop.
void ExchangeEngine::Impl::take_arrivals() {
  std::vector<Transfer*> arrived;
  {
    const std::lock_guard lock(mutex);
    arrived.swap(arrivals);
  }
  for (Transfer* transfer : arrived) {
    transfer->start_clock();
    active.push_back(transfer);
    if (libcurl().multi_add_handle(multi.get(), transfer->easy()) != CURLM_OK) {
      transfer->end(CURLE_FAILED_INIT);
      finish(*transfer);
    }
  }
}

void ExchangeEngine::Impl::perform() {
  const Clock::time_point before = Clock::now();
  int running = 0;
  libcurl().multi_perform(multi.get(), &running);
  const Clock::duration taken = Clock::now() - before;
  if (taken < k_blocked) return;
  for (Transfer* transfer : active) transfer->excuse(taken);
}

void ExchangeEngine::Impl::collect_ended() {
  int left = 0;
  while (const CURLMsg* message = libcurl().multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    void* self = nullptr;
    libcurl().easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.end(code);
    finish(transfer);
  }
}

void ExchangeEngine::Impl::drop_cancelled_and_stalled() {
  const Clock::time_point now = Clock::now();
  for (Transfer* transfer : std::vector<Transfer*>(active)) {  // a copy: finish() takes out of the other
    if (transfer->cancelled) {
      finish(*transfer);
    } else if (transfer->is_stalled(now)) {
      transfer->end_stalled();
      finish(*transfer);
    }
  }
}

// From the notification on, the transfer belongs to its caller again, who destroys it.
void ExchangeEngine::Impl::finish(Transfer& transfer) {
  libcurl().multi_remove_handle(multi.get(), transfer.easy());
  active.erase(std::find(active.begin(), active.end(), &transfer));
  const std::lock_guard lock(mutex);
  transfer.finished = true;
  finished.notify_all();
}

ExchangeEngine::ExchangeEngine() : impl_(std::make_unique<Impl>()) {}
ExchangeEngine::~ExchangeEngine() = default;

ExchangeResult ExchangeEngine::run(const Exchange& exchange, AnswerReader& reader, std::stop_token stop) {
  if (stop.stop_requested()) throw Cancelled();
  Transfer transfer(exchange, reader, impl_->bundle);
  impl_->add(transfer);
  {
    const std::stop_callback on_stop(stop, [this, &transfer] {
      transfer.cancelled = true;
      impl_->wake();
    });
    std::unique_lock lock(impl_->mutex);
    impl_->finished.wait(lock, [&] { return transfer.finished; });
  }
  if (transfer.cancelled) throw Cancelled();
  return std::move(transfer.result());
}

}  // namespace mlctr
