#include "base/error.hpp"

#include <cerrno>
#include <system_error>

#include "base/soft_limits.hpp"

namespace mlctr {
namespace {

// strerror is not thread-safe; the generic category's message is.
std::string describe(int errno_value) {
  return std::generic_category().message(errno_value);
}

}  // namespace

Error::Error(std::string message, std::string hint) : message_(std::move(message)), hint_(std::move(hint)) {}

std::string Error::in_one_line() const {
  return hint_.empty() ? message_ : message_ + "; " + hint_;
}

Error& Error::add_context(std::string_view action) {
  message_.insert(0, ": ");
  message_.insert(0, action);
  return *this;
}

Error& Error::add_hint(std::string_view hint) {
  if (hint_.empty()) hint_ = hint;
  return *this;
}

Error& Error::replace_hint(std::string hint) {
  hint_ = std::move(hint);
  return *this;
}

SysError::SysError(std::string_view action) : SysError(action, errno) {}

SysError::SysError(std::string_view action, int errno_value)
    : Error(std::string(action) + ": " + describe(errno_value), errno_value == EMFILE ? too_many_files_hint() : ""),
      errno_value_(errno_value) {}

}  // namespace mlctr
