#include "registry/transport.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <set>
#include <string_view>

#include "registry/answer_reader.hpp"
#include "registry/exchange.hpp"
#include "registry/network_error.hpp"
#include "registry/retry.hpp"
#include "registry/url.hpp"

namespace mlctr {
namespace {

using std::chrono::milliseconds;

constexpr int k_max_redirects = 10;
// Of answers of a storage host behind a redirect: its signed URL may have expired, and the registry signs a new one.
constexpr unsigned k_max_refused_redirects = 3;

std::string header_line(std::string_view name, std::string_view value) {
  // A CR or LF would let whoever supplied the value write headers of their own.
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), is_control) || std::any_of(value.begin(), value.end(), is_control)) {
    throw Error("refusing a request header with control characters in it");
  }
  return fmt::format("{}: {}", name, value);
}

std::vector<std::string> header_lines(const HttpRequest& request) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : request.headers) lines.push_back(header_line(name, value));
  return lines;
}

std::string shown(const HttpRequest& request, const Url& url) {
  return fmt::format("{} {}", request.method, url.shown());
}

bool is_redirect(const ExchangeResult& result) {
  switch (result.status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return result.headers.count("location") != 0;
    default:
      return false;
  }
}

// How storage hosts refuse one: S3 with 400 and 403, others with 401 and 410.
bool is_expired_signature(long status) {
  return status == 400 || status == 401 || status == 403 || status == 410;
}

Url redirect_target(const HttpRequest& request, const Url& from, const ExchangeResult& result) {
  const Url to = from.resolve(result.headers.at("location"));
  if (from.scheme() == Scheme::https && to.scheme() == Scheme::http) {
    throw RemoteError(fmt::format("refusing a redirect from https to {}", to.shown()));
  }
  const bool keeps_method = result.status == 307 || result.status == 308;
  const bool only_reads = request.method == "GET" || request.method == "HEAD";
  if (!only_reads && (!keeps_method || !to.has_same_origin(from))) {
    throw RemoteError(fmt::format("refusing a redirect of a {} to {}", request.method, to.shown()));
  }
  return to;
}

void wait_or_stop(milliseconds duration, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
  if (stop.stop_requested()) throw Cancelled();
}

// The failures of one request in a row, and the waits between its attempts.
class Attempts {
 public:
  Attempts(const TransportSettings& settings, const HttpRequest& request, ProgressBoard* board)
      : first_backoff_(settings.first_backoff),
        max_(request.max_attempts.value_or(settings.max_attempts)),
        board_(board) {}

  unsigned max() const noexcept { return max_; }
  void forget() noexcept { failures_ = 0; }

  /// Counts a failure and waits; false at once where the attempts are used up or the server asks for too long a pause.
  bool again(unsigned at_most, const std::string& why, std::optional<milliseconds> asked, std::stop_token stop) {
    ++failures_;
    if (failures_ >= at_most) return false;
    if (asked && *asked > k_longest_retry_after) return false;
    // Asked for a pause, add to it only: coming back early is refused again.
    const milliseconds wait = asked ? *asked + milliseconds(static_cast<long>(random_fraction() * 1000))
                                    : backoff(failures_, first_backoff_, random_fraction());
    if (board_ != nullptr) {
      board_->note(fmt::format("retrying in {:.1f} s: {}", static_cast<double>(wait.count()) / 1000, why));
    }
    wait_or_stop(wait, stop);
    return true;
  }

 private:
  milliseconds first_backoff_;
  unsigned max_;
  ProgressBoard* board_;
  unsigned failures_ = 0;
};

// What an attempt led to, at the end of its redirects.
struct Answer {
  ExchangeResult result;
  Url url;
  bool left_origin = false;
};

std::optional<milliseconds> asked_pause(const HeaderMap& headers) {
  const auto found = headers.find("retry-after");
  if (found == headers.end()) return std::nullopt;
  return parse_retry_after(found->second, std::time(nullptr));
}

HttpResponse response_of(Answer& answer, std::string& body) {
  return {answer.result.status, std::move(answer.result.headers), std::move(body), answer.url.text()};
}

class CurlTransport final : public Transport {
 public:
  CurlTransport(TransportSettings settings, ProgressBoard* board) : settings_(std::move(settings)), board_(board) {}

  HttpResponse perform(const HttpRequest& request, std::stop_token stop) override;
  HttpResponse download(const HttpRequest& request, BodySink& sink, std::uint64_t expected_bytes,
                        std::stop_token stop) override;
  void note(std::string text) override {
    if (board_ != nullptr) board_->note(std::move(text));
  }

 private:
  Answer follow(const HttpRequest& request, const std::vector<std::string>& lines, AnswerReader& reader,
                std::stop_token stop);
  ExchangeResult exchange_once(const HttpRequest& request, const Url& url, std::vector<std::string> lines,
                               AnswerReader& reader, std::stop_token stop);
  HostSettings host_settings(const Url& url);
  void retry_or_throw(const HttpRequest& request, const Answer& answer, Attempts& attempts, std::stop_token stop);
  bool retry_blob(const HttpRequest& request, const Answer& answer, const std::string& progress, Attempts& attempts,
                  std::stop_token stop);

  TransportSettings settings_;
  ProgressBoard* board_;
  std::mutex mutex_;
  std::set<std::string> unverified_;  // hosts that the warning was given for; under mutex_
  ExchangeEngine engine_;
};

HostSettings CurlTransport::host_settings(const Url& url) {
  if (!settings_.host_settings) return {};
  HostSettings host = settings_.host_settings(url.host_and_port());
  if (!host.verify_tls && url.scheme() == Scheme::https && board_ != nullptr) {
    const std::lock_guard lock(mutex_);
    if (unverified_.insert(url.host_and_port()).second) {
      board_->note(fmt::format("warning: the certificate of {0} is not verified (registries.\"{0}\".insecure)",
                               url.host_and_port()));
    }
  }
  return host;
}

ExchangeResult CurlTransport::exchange_once(const HttpRequest& request, const Url& url, std::vector<std::string> lines,
                                            AnswerReader& reader, std::stop_token stop) {
  const Exchange exchange{.method = request.method,
                          .url = url,
                          .header_lines = std::move(lines),
                          .body = request.body,
                          .host = host_settings(url),
                          .connect_timeout = settings_.connect_timeout,
                          .stall_timeout = request.stall_timeout.value_or(settings_.stall_timeout),
                          .on_sent = request.on_sent};
  ExchangeResult result = engine_.run(exchange, reader, stop);
  if (result.thrown) {
    try {
      std::rethrow_exception(result.thrown);
    } catch (RemoteError& error) {
      error.add_context(shown(request, url));
      throw;
    }
  }
  return result;
}

Answer CurlTransport::follow(const HttpRequest& request, const std::vector<std::string>& lines, AnswerReader& reader,
                             std::stop_token stop) {
  const Url start = Url::parse(request.url);
  Url url = start;
  bool left_origin = false;
  for (int hops = 0;; ++hops) {
    std::vector<std::string> hop_lines = lines;
    // Dropped for good once another origin was visited: that one chose where we went next.
    left_origin = left_origin || !url.has_same_origin(start);
    if (!request.authorization.empty() && !left_origin) {
      hop_lines.push_back(header_line("Authorization", request.authorization));
    }
    ExchangeResult result = exchange_once(request, url, std::move(hop_lines), reader, stop);
    if (result.failure || !is_redirect(result)) return {std::move(result), url, left_origin};
    if (hops == k_max_redirects) {
      throw RemoteError(fmt::format("{}: more than {} redirects", shown(request, start), k_max_redirects));
    }
    try {
      url = redirect_target(request, url, result);
    } catch (RemoteError& error) {
      error.add_context(shown(request, url));
      throw;
    }
  }
}

void CurlTransport::retry_or_throw(const HttpRequest& request, const Answer& answer, Attempts& attempts,
                                   std::stop_token stop) {
  const ExchangeFailure& failure = *answer.result.failure;
  NetworkError error = make_network_error(shown(request, answer.url), answer.url, failure);
  if (!attempts.again(useful_attempts(failure.kind, attempts.max()), error.message(), std::nullopt, stop)) throw error;
}

// After an attempt that left a blob unfinished: waits for the next one; false where the answer is the caller's to read.
bool CurlTransport::retry_blob(const HttpRequest& request, const Answer& answer, const std::string& progress,
                               Attempts& attempts, std::stop_token stop) {
  if (answer.result.failure) {
    retry_or_throw(request, answer, attempts, stop);
    return true;
  }
  const long status = answer.result.status;
  const bool is_short = status == 200 || status == 206;
  const bool may_be_expired = answer.left_origin && is_expired_signature(status);
  if (!is_short && !may_be_expired && status != 416 && !is_retryable_status(status)) return false;
  std::string why = fmt::format("{}: HTTP {}", shown(request, answer.url), status);
  if (is_short) why += ", but only " + progress;
  const unsigned at_most = may_be_expired ? std::min(attempts.max(), k_max_refused_redirects) : attempts.max();
  if (attempts.again(at_most, why, asked_pause(answer.result.headers), stop)) return true;
  if (is_short) throw RemoteError(why);
  return false;
}

HttpResponse CurlTransport::perform(const HttpRequest& request, std::stop_token stop) {
  const std::vector<std::string> lines = header_lines(request);
  Attempts attempts(settings_, request, board_);
  // What a HEAD states is not what comes.
  const std::uint64_t max_body_bytes = request.method == "HEAD" ? UINT64_MAX : request.max_body_bytes;
  for (;;) {
    MemoryReader reader(max_body_bytes);
    Answer answer = follow(request, lines, reader, stop);
    if (answer.result.failure) {
      retry_or_throw(request, answer, attempts, stop);
      continue;
    }
    const long status = answer.result.status;
    const std::string why = fmt::format("{}: HTTP {}", shown(request, answer.url), status);
    if (!is_retryable_status(status) ||
        !attempts.again(attempts.max(), why, asked_pause(answer.result.headers), stop)) {
      return response_of(answer, reader.body());
    }
  }
}

HttpResponse CurlTransport::download(const HttpRequest& request, BodySink& sink, std::uint64_t expected_bytes,
                                     std::stop_token stop) {
  if (sink.size() > expected_bytes) sink.restart();
  std::vector<std::string> lines = header_lines(request);
  // What travels is the blob itself: no proxy or server may compress it on the way.
  lines.push_back("Accept-Encoding: identity");
  Attempts attempts(settings_, request, board_);
  // Progress is only what goes past the farthest point so far: a server that makes us restart can't keep us for ever.
  std::uint64_t farthest = sink.size();
  while (sink.size() < expected_bytes) {
    std::vector<std::string> attempt_lines = lines;
    if (sink.size() > 0) attempt_lines.push_back(fmt::format("Range: bytes={}-", sink.size()));
    BlobReader reader(sink, expected_bytes, request.max_body_bytes);
    Answer answer = follow(request, attempt_lines, reader, stop);
    if (sink.size() > farthest) {
      farthest = sink.size();
      attempts.forget();
    }
    if (sink.size() == expected_bytes) return response_of(answer, reader.body());
    // We ask for no range past the end that the manifest states: the server has another blob, or no idea.
    if (!answer.result.failure && answer.result.status == 416) sink.restart();
    const std::string progress = fmt::format("{} of {} bytes", sink.size(), expected_bytes);
    if (!retry_blob(request, answer, progress, attempts, stop)) return response_of(answer, reader.body());
  }
  return {200, {}, {}, request.url};
}

}  // namespace

std::unique_ptr<Transport> make_curl_transport(TransportSettings settings, ProgressBoard* board) {
  return std::make_unique<CurlTransport>(std::move(settings), board);
}

}  // namespace mlctr
