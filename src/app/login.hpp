// The use cases `mlctr login` and `mlctr logout`.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "app/configuration.hpp"

namespace mlctr {

struct LoginRequest {
  std::string registry;  ///< as login_name() gives it
  std::string username;
  std::string password;  ///< or an access token: registries take both
};

struct LoginResult {
  enum class Check { accepted, not_asked };  ///< not_asked: the registry lets anyone in
  enum class Protection { helper, none };    ///< none: in a file, base64 is no protection
  Check check = Check::accepted;
  Protection protection = Protection::none;
  std::string stored_in;  ///< a file or a credential helper
};

/// The registry that `text` means, as credentials are stored under it: without scheme and path, Docker Hub's many names
/// as "docker.io". Throws UsageError where it is none.
std::string login_name(std::string_view text);

/// Shows the registry the credential and stores it if it is accepted. Throws Error, with nothing stored, where it is
/// not.
LoginResult login(const Configuration& configuration, const LoginRequest& request, std::stop_token stop);

/// False where no credential was stored.
bool logout(const std::string& registry);

}  // namespace mlctr
