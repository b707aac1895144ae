// Errors as users read them: one line of cause ("failed action: cause: cause"), then a hint with what to type next.
// Credentials must never be part of either.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace mlctr {

class Error : public std::exception {
 public:
  explicit Error(std::string message, std::string hint = {});

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const noexcept { return message_; }
  const std::string& hint() const noexcept { return hint_; }

  /// "message; hint", or the message alone where there is no hint: for a place that has one line for both.
  std::string in_one_line() const;

  /// Puts the failed action in front of the cause: "action: cause". Catch by reference, add, rethrow with `throw;`.
  Error& add_context(std::string_view action);

  /// Keeps the hint nearest the cause: does nothing where there is one already.
  Error& add_hint(std::string_view hint);

  /// For a caller that knows better what to do than whoever failed.
  Error& replace_hint(std::string hint);

 private:
  std::string message_;
  std::string hint_;
};

/// A failed system call. The message is "action: strerror"; give `action` with its objects ("cannot open /x/y").
class SysError : public Error {
 public:
  /// Takes errno as it is now: construct it before anything else can change errno.
  explicit SysError(std::string_view action);
  SysError(std::string_view action, int errno_value);

  int errno_value() const noexcept { return errno_value_; }

 private:
  int errno_value_;
};

/// The command line, a reference or a setting is wrong: nothing was tried.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// The user (or a caller) asked to stop. The program then dies of the signal that asked.
class Cancelled : public Error {
 public:
  Cancelled() : Error("stopped") {}
};

}  // namespace mlctr
