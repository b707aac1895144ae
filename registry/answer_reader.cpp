#include "registry/answer_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/number.hpp"

namespace mlctr {
namespace {

std::optional<std::uint64_t> content_length(const HeaderMap& headers) {
  const auto found = headers.find("content-length");
  return found == headers.end() ? std::nullopt : parse_number<std::uint64_t>(found->second);
}

// Content-Range: bytes FIRST-LAST/(TOTAL|*)   (RFC 9110, 14.4)
bool is_rest_of_blob(std::string_view range, std::uint64_t first_wanted, std::uint64_t total_wanted) {
  constexpr std::string_view k_unit = "bytes ";
  if (range.substr(0, k_unit.size()) != k_unit) return false;
  range.remove_prefix(k_unit.size());
  const std::size_t dash = range.find('-');
  const std::size_t slash = range.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return false;
  const auto first = parse_number<std::uint64_t>(range.substr(0, dash));
  const auto last = parse_number<std::uint64_t>(range.substr(dash + 1, slash - dash - 1));
  const std::string_view total = range.substr(slash + 1);
  return first == first_wanted && last && *last < total_wanted &&
         (total == "*" || parse_number<std::uint64_t>(total) == total_wanted);
}

}  // namespace

Verdict MemoryReader::begin(long status, const HeaderMap& headers) {
  body_.clear();
  is_success_ = status >= 200 && status < 300;
  if (is_success_ && content_length(headers).value_or(0) > max_bytes_) {
    throw RemoteError(
        fmt::format("the answer has {} bytes, at most {} are taken", *content_length(headers), max_bytes_));
  }
  return Verdict::go_on;
}

Verdict MemoryReader::take(std::span<const std::byte> bytes) {
  const std::size_t taken = std::min<std::uint64_t>(bytes.size(), max_bytes_ - body_.size());
  body_.append(reinterpret_cast<const char*>(bytes.data()), taken);
  if (taken == bytes.size()) return Verdict::go_on;
  if (is_success_) throw RemoteError(fmt::format("the answer has more than {} bytes", max_bytes_));
  return Verdict::end_here;
}

Verdict BlobReader::begin(long status, const HeaderMap& headers) {
  streams_ = status == 200 || status == 206;
  if (status == 200) return begin_whole(headers);
  if (status == 206) return begin_range(headers);
  return other_.begin(status, headers);
}

Verdict BlobReader::begin_whole(const HeaderMap& headers) {
  if (const auto length = content_length(headers); length && *length != expected_bytes_) {
    throw RemoteError(fmt::format("the blob is {} than its manifest says: {} bytes instead of {}",
                                  *length > expected_bytes_ ? "larger" : "smaller", *length, expected_bytes_));
  }
  if (sink_.size() > 0) sink_.restart();
  return Verdict::go_on;
}

Verdict BlobReader::begin_range(const HeaderMap& headers) {
  const auto range = headers.find("content-range");
  if (range != headers.end() && is_rest_of_blob(range->second, sink_.size(), expected_bytes_)) return Verdict::go_on;
  sink_.restart();
  return Verdict::end_here;
}

Verdict BlobReader::take(std::span<const std::byte> bytes) {
  if (!streams_) return other_.take(bytes);
  if (bytes.size() > expected_bytes_ - sink_.size()) {
    // What came from there so far is some other blob's: not to be resumed elsewhere.
    sink_.restart();
    throw RemoteError(fmt::format("the blob is larger than its manifest says: more than {} bytes", expected_bytes_));
  }
  sink_.append(bytes);
  return Verdict::go_on;
}

}  // namespace mlctr
