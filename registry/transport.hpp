// HTTP over libcurl's multi interface: one thread, keep-alive, HTTP/2; the seam for everything that talks to a registry.
// Knows redirects, retries, stalls and ranges; knows nothing of registries or credentials beyond the header it is given.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/progress.hpp"

namespace mlctr {

/// An answer other than what was asked for. The message has method, URL (without query: it may hold a signature) and status.
class HttpError : public Error {
 public:
  HttpError(long status, std::string message, std::string hint = {}) : Error(std::move(message), std::move(hint)), status_(status) {}
  long status() const noexcept { return status_; }

 private:
  long status_;
};

/// How to reach one host.
struct HostSettings {
  std::string ca_file;                ///< additional CA bundle (PEM); empty: the system's only
  std::string client_certificate;     ///< PEM files, empty where none
  std::string client_key;
  bool verify_tls = true;             ///< registries."host".insecure = true turns it off, with a warning every time
};

struct TransportSettings {
  std::chrono::seconds connect_timeout{15};
  std::chrono::seconds stall_timeout{30};   ///< no byte for this long: the transfer is broken (and retried)
  unsigned max_attempts = 6;                ///< of a request in a row without progress
  std::chrono::milliseconds first_backoff{500};  ///< doubles, with jitter, up to 30 s; Retry-After wins (up to 2 min)
  std::function<HostSettings(const std::string& host_and_port)> host_settings;  ///< may be empty
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string authorization;           ///< value of the Authorization header; dropped on a redirect to another host
  std::string body;
  std::uint64_t max_body_bytes = 4u << 20;  ///< of the answer, where it is kept in memory
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case; of several equal ones joined by ", "
  std::string body;
};

/// Where a download goes. Called from the transport's thread.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual std::uint64_t size() const = 0;                 ///< bytes held already: the next request asks for what follows
  virtual void append(std::span<const std::byte> bytes) = 0;
  virtual void restart() = 0;                             ///< the server won't resume: hold nothing again
};

class Transport {
 public:
  virtual ~Transport() = default;
  /// Any status is an answer, but 429 and 5xx are retried first. Throws Error on network failure, Cancelled on stop.
  virtual HttpResponse perform(const HttpRequest& request, std::stop_token stop) = 0;
  /// A GET into `sink` until `expected_bytes` are there; resumes with Range after a break. Returns the last answer's status and
  /// headers: 2xx when complete, another status (body: up to max_body_bytes of it) for the caller to act on, a 401 above all.
  virtual HttpResponse download(const HttpRequest& request, BodySink& sink, std::uint64_t expected_bytes,
                                std::stop_token stop) = 0;
};

/// `board` gets a note on each retry; may be null.
std::unique_ptr<Transport> make_curl_transport(TransportSettings settings, ProgressBoard* board);

}  // namespace mlctr
