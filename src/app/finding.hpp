// What a look at one thing that a run needs came to. A probe is a function that does the thing, in a child process of
// its own, and returns one of these; what it throws is a failure (doctor.hpp).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mlctr {

/// warning: a run works, but something costs more or is missing. failed: no run works. untried: it needs what failed.
enum class ProbeStatus { ok, warning, failed, untried };

struct Finding {
  ProbeStatus status = ProbeStatus::ok;
  std::string text;                ///< one sentence, without a full stop
  std::vector<std::string> fix{};  ///< shell commands, each whole; empty where there is nothing to change
};

inline Finding fine(std::string text) {
  return {ProbeStatus::ok, std::move(text)};
}
inline Finding warning(std::string text, std::vector<std::string> fix = {}) {
  return {ProbeStatus::warning, std::move(text), std::move(fix)};
}
inline Finding failure(std::string text, std::vector<std::string> fix = {}) {
  return {ProbeStatus::failed, std::move(text), std::move(fix)};
}

}  // namespace mlctr
