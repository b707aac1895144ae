// Slurm's lists of nodes, "rack[1-2]n[07-09,12],other": hostlists (scontrol(1), show hostnames).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// "rack[1-2]n[07,9],other" -> "rack1n07"
std::string first_host(std::string_view node_list);

/// All of them, in the list's order. Of a list that would be longer than any cluster's, only a part.
std::vector<std::string> expand_hosts(std::string_view node_list);

}  // namespace mlctr
