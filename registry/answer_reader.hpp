// The two ways to read an answer: into memory, or a blob into a sink that may hold its beginning already.
#pragma once

#include <cstdint>
#include <string>

#include "registry/exchange.hpp"

namespace mlctr {

/// Keeps the body. One that exceeds `max_bytes` is a RemoteError where the status is 2xx, and cut short where it is
/// not.
class MemoryReader : public AnswerReader {
 public:
  explicit MemoryReader(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}
  Verdict begin(long status, const HeaderMap& headers) override;
  Verdict take(std::span<const std::byte> bytes) override;
  std::string& body() noexcept { return body_; }

 private:
  std::uint64_t max_bytes_;
  bool is_success_ = false;
  std::string body_;
};

/// Streams a 200 or a fitting 206 into the sink; any other answer's body is kept in memory. Throws RemoteError where
/// the server has another size than `expected_bytes`; a 206 of another range empties the sink and ends the exchange.
class BlobReader : public AnswerReader {
 public:
  BlobReader(BodySink& sink, std::uint64_t expected_bytes, std::uint64_t max_body_bytes)
      : sink_(sink), expected_bytes_(expected_bytes), other_(max_body_bytes) {}
  Verdict begin(long status, const HeaderMap& headers) override;
  Verdict take(std::span<const std::byte> bytes) override;
  std::string& body() noexcept { return other_.body(); }

 private:
  Verdict begin_whole(const HeaderMap& headers);
  Verdict begin_range(const HeaderMap& headers);

  BodySink& sink_;
  std::uint64_t expected_bytes_;
  MemoryReader other_;
  bool streams_ = false;
};

}  // namespace mlctr
