// HTTP over libcurl's multi interface: one thread, keep-alive, HTTP/2; the seam for everything that talks to a
// registry. Knows redirects, retries, stalls and ranges; knows nothing of registries or credentials beyond the header
// it is given.
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

/// The other side failed or sent what it must not: another place may do better. What a BodySink throws is never one of
/// these.
class RemoteError : public Error {
 public:
  using Error::Error;
};

/// An answer other than what was asked for. The message has method, URL (without query: it may hold a signature) and
/// status.
class HttpError : public RemoteError {
 public:
  HttpError(long status, std::string message, std::string hint = {})
      : RemoteError(std::move(message), std::move(hint)), status_(status) {}
  long status() const noexcept { return status_; }

 private:
  long status_;
};

enum class NetworkFailure {
  resolve,      ///< no address for the host (or the proxy)
  connect,      ///< nobody answers there
  tls,          ///< the handshake failed: often a server that speaks plain HTTP
  certificate,  ///< TLS works, but the server is not who it should be
  broken,       ///< the connection ended too early, or what came was not HTTP
  stalled,      ///< no byte for TransportSettings::stall_timeout
};

/// No answer, after all attempts.
class NetworkError : public RemoteError {
 public:
  NetworkError(NetworkFailure failure, std::string message, std::string hint = {})
      : RemoteError(std::move(message), std::move(hint)), failure_(failure) {}
  NetworkFailure failure() const noexcept { return failure_; }

 private:
  NetworkFailure failure_;
};

/// How to reach one host.
struct HostSettings {
  std::string ca_file;             ///< additional CA bundle (PEM); empty: the system's only
  std::string client_certificate;  ///< PEM files, empty where none
  std::string client_key;
  bool verify_tls = true;  ///< registries."host".insecure = true turns it off, with a warning every time
};

struct TransportSettings {
  std::chrono::seconds connect_timeout{15};
  std::chrono::seconds stall_timeout{30};        ///< no byte for this long: the transfer is broken (and retried)
  unsigned max_attempts = 6;                     ///< of a request in a row without progress
  std::chrono::milliseconds first_backoff{500};  ///< doubles, with jitter, up to 30 s; Retry-After wins
  std::function<HostSettings(const std::string& host_and_port)> host_settings;  ///< may be empty
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string authorization;  ///< value of the Authorization header; dropped on a redirect to another origin
  std::string body;           ///< of a POST, PUT or PATCH; never sent on to another origin
  std::uint64_t max_body_bytes =
      4u << 20;                          ///< of the answer, where it is kept in memory; a larger one is a RemoteError
  std::optional<unsigned> max_attempts;  ///< instead of the transport's: 1 for a probe
  std::optional<std::chrono::seconds> stall_timeout;  ///< instead of the transport's
  std::function<void(std::uint64_t)> on_sent;         ///< how much of the body has left; from the transport's thread
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case; of several equal ones joined by ", "
  std::string body;
  std::string url;  ///< that answered, after redirects; may hold a signature: not for messages

  /// Empty where it is not there.
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

/// Where a download goes. Called from the transport's thread, which all transfers share: it may block for a file's
/// write, not longer. What it throws ends this download and is rethrown to its caller.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual std::uint64_t size() const = 0;  ///< bytes held already: the next request asks for what follows
  virtual void append(std::span<const std::byte> bytes) = 0;
  virtual void restart() = 0;  ///< the server won't resume: hold nothing again
};

class Transport {
 public:
  virtual ~Transport() = default;
  /// Any status is an answer, but 429 and 5xx are retried first. Throws NetworkError, RemoteError (a refused redirect,
  /// too large an answer), Cancelled within about 100 ms of a stop. A Retry-After of more than 2 minutes is not waited
  /// for.
  virtual HttpResponse perform(const HttpRequest& request, std::stop_token stop) = 0;
  /// A GET into `sink` until `expected_bytes` are there; resumes with Range after a break. Returns the last answer's
  /// status and headers: 2xx when complete, another status (body: up to max_body_bytes of it) for the caller to act on,
  /// a 401 above all. More bytes than expected are a RemoteError at once. Every attempt starts at request.url: signed
  /// redirects expire.
  virtual HttpResponse download(const HttpRequest& request, BodySink& sink, std::uint64_t expected_bytes,
                                std::stop_token stop) = 0;
  /// A line for whoever watches: what went wrong without ending the work.
  virtual void note(std::string text) = 0;
};

/// `board` gets a note on each retry and on each host whose TLS is not verified; may be null. Proxies come from the
/// usual variables (https_proxy, no_proxy …), never for a loopback host; $SSL_CERT_FILE replaces the system's CA
/// bundle.
std::unique_ptr<Transport> make_curl_transport(TransportSettings settings, ProgressBoard* board);

}  // namespace mlctr
