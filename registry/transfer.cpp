#include "registry/transfer.hpp"

#include <fmt/format.h>

#include <new>

#include "registry/curl_failure.hpp"
#include "registry/late_libcurl.hpp"

namespace mlctr {
namespace {

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = libcurl().easy_setopt(easy, option, value);
  if (code != CURLE_OK)
    throw Error(fmt::format("libcurl refuses option {}: {}", int{option}, libcurl().easy_strerror(code)));
}

}  // namespace

Transfer::Transfer(const Exchange& exchange, AnswerReader& reader, CaBundle& bundle)
    : exchange_(exchange), reader_(reader), easy_(libcurl().easy_init()) {
  if (!easy_) throw std::bad_alloc();
  set_request();
  set_headers();
  set_connection();
  set_tls(bundle);
}

void Transfer::set_request() {
  CURL* easy = easy_.get();
  set(easy, CURLOPT_PRIVATE, static_cast<void*>(this));
  set(easy, CURLOPT_URL, exchange_.url.text().c_str());
  // Whatever a server or a manifest names: no file://, no gopher://.
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_USERAGENT, "mlctr/" MLCTR_VERSION);
  set(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
  if (exchange_.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);  // libcurl would wait for a body that never comes
  } else if (exchange_.method == "POST" || exchange_.method == "PUT" || exchange_.method == "PATCH") {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(exchange_.body.size()));
    set(easy, CURLOPT_POSTFIELDS, exchange_.body.data());
    if (exchange_.method != "POST") set(easy, CURLOPT_CUSTOMREQUEST, exchange_.method.c_str());
    set(easy, CURLOPT_NOPROGRESS, 0L);
    set(easy, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(easy, CURLOPT_XFERINFODATA, static_cast<void*>(this));
  } else if (exchange_.method != "GET") {
    set(easy, CURLOPT_CUSTOMREQUEST, exchange_.method.c_str());
  }
}

// A body on its way out is no silence of the server's.
int Transfer::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (sent == transfer.sent_) return 0;
  transfer.sent_ = sent;
  transfer.start_clock();
  if (transfer.exchange_.on_sent) {
    transfer.guard([&] { transfer.exchange_.on_sent(static_cast<std::uint64_t>(sent)); });
  }
  return transfer.result_.thrown ? 1 : 0;
}

void Transfer::set_headers() {
  CURL* easy = easy_.get();
  std::vector<std::string> lines = exchange_.header_lines;
  // Large bodies would wait a second for a "100 Continue" that many servers never send.
  if (!exchange_.body.empty()) lines.emplace_back("Expect:");
  for (const std::string& line : lines) {
    curl_slist* longer = libcurl().slist_append(request_lines_.get(), line.c_str());
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

void Transfer::set_connection() {
  CURL* easy = easy_.get();
  // Otherwise libcurl uses SIGALRM, which no thread here could take.
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
  // A proxy's answer to CONNECT must not be taken for the server's headers.
  set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::chrono::milliseconds(exchange_.connect_timeout).count()));
#if LIBCURL_VERSION_NUM >= 0x075700
  // Without it a stop would wait for the resolver's thread, up to the resolver's own timeout.
  set(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  // no_proxy rarely lists loopback, and no proxy can reach ours.
  if (exchange_.url.is_loopback()) set(easy, CURLOPT_PROXY, "");
}

void Transfer::set_tls(CaBundle& bundle) {
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

void Transfer::end(CURLcode code) {
  if (code == CURLE_OK) {
    guard([this] { announce(); });  // an answer without a body
  } else if (!result_.thrown && !result_.was_ended_by_reader) {
    result_.failure = describe_failure(easy_.get(), code, error_text_.data());
  }
}

void Transfer::end_stalled() {
  result_.failure = ExchangeFailure{NetworkFailure::stalled,
                                    fmt::format("no byte for {} s", exchange_.stall_timeout.count()), false, false};
}

// No exception may cross libcurl: it is kept for the caller.
template <class Action>
void Transfer::guard(Action action) noexcept {
  try {
    action();
  } catch (...) {
    result_.thrown = std::current_exception();
  }
}

// Tells the reader the status and headers, once they are all there.
void Transfer::announce() {
  if (announced_) return;
  announced_ = true;
  libcurl().easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &result_.status);
  result_.headers = headers_.map();
  if (reader_.begin(result_.status, result_.headers) == Verdict::end_here) result_.was_ended_by_reader = true;
}

void Transfer::take_body(std::span<const std::byte> bytes) {
  announce();
  if (result_.was_ended_by_reader) return;
  if (reader_.take(bytes) == Verdict::end_here) result_.was_ended_by_reader = true;
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.start_clock();
  // After the first byte of the body: trailers, which nobody asked for.
  if (!transfer.announced_) transfer.guard([&] { transfer.headers_.take({data, size * count}); });
  return transfer.result_.thrown ? 0 : size * count;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.guard([&] { transfer.take_body(std::as_bytes(std::span(data, size * count))); });
  transfer.start_clock();  // only now: the sink may have blocked
  const bool ends = transfer.result_.thrown != nullptr || transfer.result_.was_ended_by_reader;
  return ends ? CURL_WRITEFUNC_ERROR : size * count;
}

}  // namespace mlctr
