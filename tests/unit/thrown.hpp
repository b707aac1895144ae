// What a failing expression threw, to look at message and hint.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mlctr::test {

struct Thrown {
  std::string message, hint;
};

/// Runs `action`, which must throw `Kind`.
template <typename Kind = Error, typename Action>
Thrown thrown_by(const Action& action) {
  try {
    action();
  } catch (const Kind& error) {
    return {error.message(), error.hint()};
  }
  FAIL("nothing was thrown");
  return {};
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace mlctr::test
