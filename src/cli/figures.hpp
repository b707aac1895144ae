// Sizes, rates and times as people read them (app/quantity.hpp: as they write them). Sizes are decimal (1 MB = 10^6
// bytes), as registries and disks give them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mlctr::cli {

/// "0 B", "850 kB", "4.1 MB", "219 MB", "1.04 GB", "25.3 GB"
std::string format_bytes(std::uint64_t bytes);

/// "48.2/97.0 MB", "412/1040 MB", "3.21/25.30 GB": both in the unit that suits the whole.
std::string format_bytes_of(std::uint64_t part, std::uint64_t whole);

/// "98 MB/s"; rates under 1 kB/s are "0 kB/s".
std::string format_rate(double bytes_per_second);

/// "4.1 s", "42 s", "3m05s", "1h12m"
std::string format_duration(std::chrono::duration<double> duration);

/// The same in whole seconds: "4 s". For what is only an estimate.
std::string format_rough_duration(std::chrono::duration<double> duration);

/// "12 seconds ago", "3 hours ago", "2 weeks ago"
std::string format_age(std::chrono::seconds age);

}  // namespace mlctr::cli
