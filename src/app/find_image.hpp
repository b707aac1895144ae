// Which image of the stores the user means: by reference, by recorded .sqsh path, by digest or by the start of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"
#include "image/reference.hpp"
#include "store/store.hpp"

namespace mlctr {

/// The start of a digest names an image from this many digits on.
inline constexpr std::size_t k_fewest_digits = 4;

struct FoundImage {
  std::filesystem::path store;            ///< the root of the store that has it
  std::optional<ReferenceRecord> record;  ///< absent where it was named by digest
  StoredImage image;
};

/// Looks in the store, then in the extra ones. `text` is anything find_source takes, a digest or the start of one: at
/// least four hex digits, with or without "sha256:" in front (without, a reference wins). Absent where no store has it;
/// throws UsageError where `text` is no reference at all or several images begin with those digits (they are named).
std::optional<FoundImage> find_image(const Configuration& configuration, std::string_view text);

/// The same; throws Error "no such image in the store", with the hint to pull it.
FoundImage require_image(const Configuration& configuration, std::string_view text);

/// A manifest digest or the start of one.
struct ImageId {
  std::string algorithm;  ///< "sha256"
  std::string digits;
};

/// "sha256:…" or 64 hex digits, which no reference can be; absent for anything else. Throws UsageError where what
/// follows "sha256:" are not hex digits, four or more.
std::optional<ImageId> parse_image_id(std::string_view text);

/// The references that lead to an image, a nearer store's before a farther one's.
std::vector<ReferenceRecord> references_to(const std::vector<Store>& stores, const Digest& manifest_digest);

/// The key of a reference in the store for what the user typed: canonical, without user, paths absolute.
std::string reference_key(const ImageSource& source);
std::string reference_key(std::string_view text);

/// Such a key as short as it can be typed.
std::string familiar_name(const std::string& key);

}  // namespace mlctr
