// Work that may hang, crash or change its process for good, done in a child: what becomes of it is a result.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/supervise.hpp"

namespace mlctr::runtime {

/// Hands text to the parent; may be called several times.
using Say = std::function<void(std::string_view)>;

struct ForkedResult {
  std::string said;
  std::optional<ProgramEnd> end;  ///< absent: it took longer than `patience` and was killed
};

/// Call it in a single-threaded process. `work` may become another program (what it said before counts) or return,
/// which ends the child with 0; an exception must not leave it. Throws SysError where no child can be started.
ForkedResult run_forked(const std::function<void(const Say&)>& work, std::chrono::seconds patience);

}  // namespace mlctr::runtime
