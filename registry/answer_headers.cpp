#include "registry/answer_headers.hpp"

#include "base/ascii.hpp"
#include "registry/transport.hpp"

namespace mlctr {
namespace {

// libcurl bounds one line at 100 KiB and their number not at all.
constexpr std::size_t k_max_header_bytes = 256 * 1024;

}  // namespace

void AnswerHeaders::take(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > k_max_header_bytes) throw RemoteError("the answer's headers are too large");
  if (line.substr(0, 5) == "HTTP/") return map_.clear();
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view value = trimmed(line.substr(colon + 1));
  const auto [entry, is_new] = map_.try_emplace(lowered(trimmed(line.substr(0, colon))), value);
  if (!is_new) entry->second.append(", ").append(value);
}

}  // namespace mlctr
