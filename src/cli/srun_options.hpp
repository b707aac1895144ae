// srun's own options, known as far as it takes to tell them from the command that they stand before (srun(1),
// Slurm 20.11 to 25.05). What they mean is srun's business.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::cli {

/// The text of `srun --help`, which has the options of other plugins; asked for only where the table lacks one.
using SrunHelp = std::function<std::string()>;

/// What begins with a dash: one option, or several short ones in a cluster ("-lN2").
struct SrunWord {
  std::vector<std::string> options;  ///< their long names: "label", "nodes"
  std::size_t words;                 ///< 2 where the next word is an option's argument
};

enum class SrunMatch { none, abbreviation, exact };

/// Whether `name` (no dashes) is an option of srun's, in full or cut short as getopt_long(3) allows it.
SrunMatch match_srun_option(std::string_view name);

/// Reads words[at]. An option that there is not, or that is ambiguous, counts as one without an argument: srun says so.
SrunWord read_srun_word(const std::vector<std::string>& words, std::size_t at, const SrunHelp& help);

}  // namespace mlctr::cli
