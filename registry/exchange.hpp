// One request to one server and its answer, as it arrives: no redirects, no retries, no judgement. All exchanges share
// one thread, its connections (keep-alive, HTTP/2) and its DNS cache.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "registry/answer_headers.hpp"
#include "registry/transport.hpp"
#include "registry/url.hpp"

namespace mlctr {

struct Exchange {
  std::string method;
  Url url;
  std::vector<std::string> header_lines;  ///< "Name: value", checked by the caller
  std::string body;
  HostSettings host;
  std::chrono::seconds connect_timeout{15};
  std::chrono::seconds stall_timeout{30};
  std::function<void(std::uint64_t)> on_sent{};  ///< how much of the body has left; from the engine's thread
};

enum class Verdict { go_on, end_here };

/// Who reads an answer. Called from the engine's thread; what it throws ends the exchange and comes back in
/// ExchangeResult.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;
  virtual Verdict begin(long status, const HeaderMap& headers) = 0;  ///< once, before the first byte of the body
  virtual Verdict take(std::span<const std::byte> bytes) = 0;
};

struct ExchangeFailure {
  NetworkFailure kind = NetworkFailure::broken;
  std::string text;              ///< printable, without secrets
  bool is_date_problem = false;  ///< of a certificate: expired or not valid yet
  bool is_unknown_ca = false;
};

struct ExchangeResult {
  long status = 0;  ///< 0 where no answer came
  HeaderMap headers;
  std::optional<ExchangeFailure> failure;
  std::exception_ptr thrown;  ///< by the reader
  bool was_ended_by_reader = false;
};

class ExchangeEngine {
 public:
  ExchangeEngine();
  ~ExchangeEngine();
  ExchangeEngine(const ExchangeEngine&) = delete;
  ExchangeEngine& operator=(const ExchangeEngine&) = delete;

  /// Blocks until the exchange has ended; thread-safe. Throws Cancelled. The reader is not called after it has
  /// returned.
  ExchangeResult run(const Exchange& exchange, AnswerReader& reader, std::stop_token stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlctr
