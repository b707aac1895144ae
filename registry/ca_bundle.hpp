// The CA certificates that a server's is checked against: the system's, and a registry's own behind them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace mlctr {

/// Thread-safe.
class CaBundle {
 public:
  /// $SSL_CERT_FILE, as Go's tools take it, else `built_in`.
  explicit CaBundle(const char* built_in);

  /// Empty where libcurl's own default is to be used.
  const std::string& system_file() const noexcept { return system_file_; }

  /// The PEM text of the system's bundle and of `ca_file`, read once. Throws SysError where one can't be read.
  std::shared_ptr<const std::string> joined_with(const std::string& ca_file);

 private:
  std::string system_file_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const std::string>> joined_;  // by ca_file; under mutex_
};

}  // namespace mlctr
