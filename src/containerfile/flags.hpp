// The flags of one instruction: --name=value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerfile/place.hpp"

namespace mlctr::containerfile {

struct FlagKind {
  enum class Takes { text, texts, yes_or_no };

  std::string_view name;
  Takes takes = Takes::text;
};

class Flags {
 public:
  /// Throws SyntaxError for a flag that is not among `known`, comes twice or has a value of the wrong kind. `keyword`
  /// is for messages.
  static Flags parse(const std::vector<Word>& words, const std::vector<FlagKind>& known, std::string_view keyword,
                     std::string_view filename);

  /// The value's place is its own; absent where the flag was not given.
  std::optional<Word> text(std::string_view name) const;
  std::vector<Word> texts(std::string_view name) const;
  std::optional<bool> yes_or_no(std::string_view name) const;

 private:
  struct Given {
    std::string_view name;  ///< of the FlagKind
    Word value;
  };

  std::vector<Given> given_;
};

}  // namespace mlctr::containerfile
