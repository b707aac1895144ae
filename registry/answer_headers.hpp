// The header lines of an answer as they arrive, interim answers and trailers among them (RFC 9110, 15.2 and 6.5).
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace mlctr {

using HeaderMap = std::map<std::string, std::string>;  ///< names in lower case; of several equal ones joined by ", "

class AnswerHeaders {
 public:
  /// One line with its CR LF. A status line forgets what came before: that was an interim answer. Throws RemoteError
  /// where the lines are too large together.
  void take(std::string_view line);

  const HeaderMap& map() const noexcept { return map_; }

 private:
  HeaderMap map_;
  std::size_t bytes_ = 0;
};

}  // namespace mlctr
