// EXPOSE's ports: "80", "8000-8010/udp", and the "[IP:]HOST:" that docker run takes before it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr::containerfile {

struct ExposedPorts {
  std::vector<std::string> ports;  ///< "80/tcp"
  bool has_host_part = false;      ///< which means nothing here
};

/// Throws Error.
ExposedPorts parse_ports(std::string_view text);

}  // namespace mlctr::containerfile
