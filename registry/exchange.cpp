#include "registry/exchange.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/printable.hpp"
#include "registry/ca_bundle.hpp"

namespace mlctr {
namespace {

using Clock = std::chrono::steady_clock;

// How often stalls are looked for, and the longest that a wake-up lost by the kernel could cost.
constexpr int k_poll_milliseconds = 250;
// One round over all transfers takes longer than this only when a sink blocked (a network filesystem's pause).
constexpr std::chrono::seconds k_blocked{1};

struct CloseEasy {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK)
    throw Error(fmt::format("libcurl refuses option {}: {}", int{option}, curl_easy_strerror(code)));
}

// From OpenSSL's x509_vfy.h, which curl passes through as it is.
constexpr long k_not_yet_valid = 9;
constexpr long k_has_expired = 10;
constexpr std::array<long, 5> k_unknown_ca = {18, 19, 20, 21, 27};  // self-signed, no issuer found, untrusted

NetworkFailure kind_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return NetworkFailure::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
      return NetworkFailure::connect;
    case CURLE_SSL_CONNECT_ERROR:
      return NetworkFailure::tls;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return NetworkFailure::certificate;
    default:
      return NetworkFailure::broken;
  }
}

// An exchange under way: owned by run()'s frame, touched by the engine's thread until `finished`.
class Transfer {
 public:
  Transfer(const Exchange& exchange, AnswerReader& reader, CaBundle& bundle)
      : exchange_(exchange), reader_(reader), easy_(curl_easy_init()) {
    if (!easy_) throw std::bad_alloc();
    set_request();
    set_connection();
    set_tls(bundle);
  }

  CURL* easy() const noexcept { return easy_.get(); }
  ExchangeResult& result() noexcept { return result_; }

  void start_clock() { last_byte_ = Clock::now(); }
  // Time that the engine spent inside somebody's sink is not this server's silence.
  void excuse(Clock::duration blocked) { last_byte_ += blocked; }
  bool is_stalled(Clock::time_point now) const { return now - last_byte_ > exchange_.stall_timeout; }

  void end_stalled() {
    result_.failure = ExchangeFailure{NetworkFailure::stalled,
                                      fmt::format("no byte for {} s", exchange_.stall_timeout.count()), false, false};
  }

  void end(CURLcode code) {
    if (code == CURLE_OK) {
      guard([this] { announce(); });
    } else if (!result_.thrown && !result_.was_ended_by_reader) {
      result_.failure = describe(code);
    }
  }

  std::atomic<bool> cancelled{false};
  bool finished = false;  // under the engine's mutex

 private:
  void set_request() {
    CURL* easy = easy_.get();
    set(easy, CURLOPT_PRIVATE, static_cast<void*>(this));
    set(easy, CURLOPT_URL, exchange_.url.text().c_str());
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_USERAGENT, "mlctr/" MLCTR_VERSION);
    set(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
    if (exchange_.method == "POST") {
      set(easy, CURLOPT_POST, 1L);
      set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(exchange_.body.size()));
      set(easy, CURLOPT_POSTFIELDS, exchange_.body.data());
    } else if (exchange_.method != "GET") {
      set(easy, CURLOPT_CUSTOMREQUEST, exchange_.method.c_str());
    }
    for (const std::string& line : exchange_.header_lines) {
      curl_slist* longer = curl_slist_append(request_lines_.get(), line.c_str());
      if (longer == nullptr) throw std::bad_alloc();
      (void)request_lines_.release();
      request_lines_.reset(longer);
    }
    set(easy, CURLOPT_HTTPHEADER, request_lines_.get());
    set(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(easy, CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(easy, CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(easy, CURLOPT_ERRORBUFFER, error_text_.data());
  }

  void set_connection() {
    CURL* easy = easy_.get();
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS,
        static_cast<long>(std::chrono::milliseconds(exchange_.connect_timeout).count()));
#if LIBCURL_VERSION_NUM >= 0x075700
    // Without it a stop would wait for the resolver's thread, up to the resolver's own timeout.
    set(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    if (exchange_.url.is_loopback()) set(easy, CURLOPT_PROXY, "");
  }

  void set_tls(CaBundle& bundle) {
    CURL* easy = easy_.get();
    const HostSettings& host = exchange_.host;
    if (exchange_.url.scheme() != Scheme::https) return;
    if (!host.verify_tls) {
      set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!host.ca_file.empty()) {
      // As one blob: CAINFO with this file alone would replace the system's.
      ca_pem_ = bundle.joined_with(host.ca_file);
      curl_blob blob{const_cast<char*>(ca_pem_->data()), ca_pem_->size(), CURL_BLOB_NOCOPY};
      set(easy, CURLOPT_CAINFO_BLOB, &blob);
    } else if (!bundle.system_file().empty()) {
      set(easy, CURLOPT_CAINFO, bundle.system_file().c_str());
    }
    if (!host.client_certificate.empty()) set(easy, CURLOPT_SSLCERT, host.client_certificate.c_str());
    if (!host.client_key.empty()) set(easy, CURLOPT_SSLKEY, host.client_key.c_str());
  }

  // No exception may cross libcurl: it is kept for the caller.
  template <class Action>
  void guard(Action action) noexcept {
    try {
      action();
    } catch (...) {
      result_.thrown = std::current_exception();
    }
  }

  // Tells the reader the status and headers, once they are all there.
  void announce() {
    if (announced_) return;
    announced_ = true;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &result_.status);
    result_.headers = headers_.map();
    if (reader_.begin(result_.status, result_.headers) == Verdict::end_here) result_.was_ended_by_reader = true;
  }

  void take_header(std::string_view line) {
    // After the first byte of the body: trailers, which nobody asked for.
    if (!announced_) headers_.take(line);
  }

  void take_body(std::span<const std::byte> bytes) {
    announce();
    if (result_.was_ended_by_reader) return;
    if (reader_.take(bytes) == Verdict::end_here) result_.was_ended_by_reader = true;
  }

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.start_clock();
    transfer.guard([&] { transfer.take_header({data, size * count}); });
    return transfer.result_.thrown ? 0 : size * count;
  }

  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.guard([&] { transfer.take_body(std::as_bytes(std::span(data, size * count))); });
    transfer.start_clock();
    const bool ends = transfer.result_.thrown != nullptr || transfer.result_.was_ended_by_reader;
    return ends ? CURL_WRITEFUNC_ERROR : size * count;
  }

  ExchangeFailure describe(CURLcode code) {
    ExchangeFailure failure;
    failure.kind = kind_of(code);
    double connected_after = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_CONNECT_TIME, &connected_after);
    // libcurl's own timer runs only until the connection stands.
    if (code == CURLE_OPERATION_TIMEDOUT) {
      failure.kind = connected_after > 0 ? NetworkFailure::tls : NetworkFailure::connect;
    }
    const std::string_view detail = error_text_.data();
    failure.text = printable(detail.empty() ? curl_easy_strerror(code) : detail);
    long os_error = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_error);
    if (code == CURLE_COULDNT_CONNECT && os_error != 0) {
      failure.text = std::generic_category().message(static_cast<int>(os_error));
    }
    long verification = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_SSL_VERIFYRESULT, &verification);
    if (failure.kind == NetworkFailure::certificate) {
      failure.is_date_problem = verification == k_not_yet_valid || verification == k_has_expired;
      failure.is_unknown_ca = std::find(k_unknown_ca.begin(), k_unknown_ca.end(), verification) != k_unknown_ca.end();
    }
    return failure;
  }

  const Exchange& exchange_;
  AnswerReader& reader_;
  std::unique_ptr<curl_slist, FreeList> request_lines_;
  std::shared_ptr<const std::string> ca_pem_;
  AnswerHeaders headers_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::unique_ptr<CURL, CloseEasy> easy_;  // after what it points into: destroyed first
  ExchangeResult result_;
  bool announced_ = false;
  Clock::time_point last_byte_ = Clock::now();
};

}  // namespace

struct ExchangeEngine::Impl {
  Impl();
  ~Impl();
  void add(Transfer& transfer);
  void wake() const { curl_multi_wakeup(multi); }
  void loop();
  void take_arrivals();
  void perform();
  void collect_ended();
  void drop_cancelled_and_stalled();
  void finish(Transfer& transfer);

  CaBundle bundle;
  CURLM* multi = nullptr;
  std::mutex mutex;
  std::condition_variable finished;
  std::vector<Transfer*> arrivals;  // under mutex
  bool ending = false;              // under mutex
  std::vector<Transfer*> active;    // the loop's own
  std::thread thread;
};

const char* built_in_ca_file() {
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const curl_version_info_data* built = curl_version_info(CURLVERSION_NOW);
  return built->age >= CURLVERSION_EIGHTH ? built->cainfo : nullptr;
}

ExchangeEngine::Impl::Impl() : bundle(built_in_ca_file()) {
  multi = curl_multi_init();
  if (multi == nullptr) throw std::bad_alloc();
  // A connection for each layer: on a long way one TCP flow is slower than several, and a break hurts one layer only.
  curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, 1L);

  // The thread takes no signals: Ctrl-C belongs to the main thread, and OpenSSL's writes to a closed socket must not
  // raise SIGPIPE.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread = std::thread([this] { loop(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    curl_multi_cleanup(multi);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ExchangeEngine::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex);
    ending = true;
  }
  wake();
  thread.join();
  curl_multi_cleanup(multi);
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
    curl_multi_poll(multi, nullptr, 0, k_poll_milliseconds, nullptr);
  }
}

void ExchangeEngine::Impl::take_arrivals() {
  std::vector<Transfer*> arrived;
  {
    const std::lock_guard lock(mutex);
    arrived.swap(arrivals);
  }
  for (Transfer* transfer : arrived) {
    transfer->start_clock();
    active.push_back(transfer);
    if (curl_multi_add_handle(multi, transfer->easy()) != CURLM_OK) {
      transfer->end(CURLE_FAILED_INIT);
      finish(*transfer);
    }
  }
}

void ExchangeEngine::Impl::perform() {
  const Clock::time_point before = Clock::now();
  int running = 0;
  curl_multi_perform(multi, &running);
  const Clock::duration taken = Clock::now() - before;
  if (taken < k_blocked) return;
  for (Transfer* transfer : active) transfer->excuse(taken);
}

void ExchangeEngine::Impl::collect_ended() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    void* self = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.end(code);
    finish(transfer);
  }
}

void ExchangeEngine::Impl::drop_cancelled_and_stalled() {
  const Clock::time_point now = Clock::now();
  for (Transfer* transfer : std::vector<Transfer*>(active)) {
    if (transfer->cancelled) {
      finish(*transfer);
    } else if (transfer->is_stalled(now)) {
      transfer->end_stalled();
      finish(*transfer);
    }
  }
}

void ExchangeEngine::Impl::finish(Transfer& transfer) {
  curl_multi_remove_handle(multi, transfer.easy());
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
