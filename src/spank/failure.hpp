// What went wrong, as one line: the plugin has no exceptions, as it must not bring a C++ run-time into Slurm's
// programs.
#pragma once

#include <array>

namespace mlctr::spank {

/// Empty where all went well. Cut off where it is longer than the array.
struct [[nodiscard]] Failure {
  std::array<char, 512> text{};

  bool happened() const { return text[0] != '\0'; }
};

/// printf's way. Control characters of the arguments, which may be a user's or an image's, come out as '?'.
[[gnu::format(printf, 1, 2)]] Failure failed(const char* format, ...);

/// The same with ": " and errno's text behind it.
[[gnu::format(printf, 1, 2)]] Failure failed_by_errno(const char* format, ...);

}  // namespace mlctr::spank
