#include "registry/ca_bundle.hpp"

#include <cstdlib>

#include "base/file.hpp"

namespace mlctr {

CaBundle::CaBundle(const char* built_in) {
  const char* own = std::getenv("SSL_CERT_FILE");  // NOLINT(concurrency-mt-unsafe): nothing in mlctr writes it
  if (own != nullptr && *own != '\0') {
    system_file_ = own;
  } else if (built_in != nullptr) {
    system_file_ = built_in;
  }
}

std::shared_ptr<const std::string> CaBundle::joined_with(const std::string& ca_file) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const std::string>& joined = joined_[ca_file];
  if (!joined) {
    std::string pem = system_file_.empty() ? std::string() : read_file(system_file_) + "\n";
    joined = std::make_shared<const std::string>(std::move(pem) + read_file(ca_file));
  }
  return joined;
}

}  // namespace mlctr
