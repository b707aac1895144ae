#include "app/find_image.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/open_stores.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_fewest_digits = 4;

std::string absolute_path(const std::filesystem::path& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

std::string with_tag(std::string_view scheme, const std::filesystem::path& path, const std::string& tag) {
  return fmt::format("{}{}{}{}", scheme, absolute_path(path), tag.empty() ? "" : ":", tag);
}

struct ToKey {
  std::string operator()(ImageReference reference) const {
    reference.user.clear();
    return reference.to_string();
  }
  std::string operator()(const OciLayoutSource& layout) const { return with_tag("oci:", layout.path, layout.tag); }
  std::string operator()(const OciArchiveSource& file) const { return with_tag("oci-archive:", file.path, file.tag); }
  std::string operator()(const DockerArchiveSource& file) const {
    return with_tag("docker-archive:", file.path, file.tag);
  }
  std::string operator()(const SquashfsSource& file) const { return absolute_path(file.path); }
};

bool is_digest_start(std::string_view text) {
  return text.size() >= k_fewest_digits && text.size() <= 128 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<FoundImage> find_by_digest(const std::vector<Store>& stores, const Digest& digest) {
  for (const Store& store : stores) {
    if (auto image = store.find_image(digest)) return FoundImage{store.root(), std::nullopt, std::move(*image)};
  }
  return std::nullopt;
}

// A reference of our own store may lead to an image in another: pull does not copy what an admin's store has.
std::optional<FoundImage> find_by_reference(const std::vector<Store>& stores, const std::string& key) {
  for (const Store& store : stores) {
    const std::optional<ReferenceRecord> record = store.find_reference(key);
    if (!record) continue;
    if (auto found = find_by_digest(stores, record->manifest_digest)) {
      found->record = record;
      return found;
    }
  }
  return std::nullopt;
}

std::optional<FoundImage> find_by_digest_start(const std::vector<Store>& stores, std::string_view digits) {
  std::vector<Digest> matches;
  for (const Store& store : stores) {
    for (const StoredImage& image : store.images()) {
      if (image.manifest_digest.hex().starts_with(digits)) matches.push_back(image.manifest_digest);
    }
  }
  std::sort(matches.begin(), matches.end());
  matches.erase(std::unique(matches.begin(), matches.end()), matches.end());
  if (matches.size() > 1) {
    throw UsageError(fmt::format("{} images begin with '{}'", matches.size(), digits),
                     fmt::format("give more digits, as in {} or {}", matches[0].short_hex(), matches[1].short_hex()));
  }
  return matches.empty() ? std::nullopt : find_by_digest(stores, matches[0]);
}

}  // namespace

std::optional<Digest> parse_image_id(std::string_view text) {
  try {
    const bool is_bare = text.size() == 64 && is_digest_start(text);  // the grammar of references leaves these out
    return Digest::parse(is_bare ? fmt::format("sha256:{}", text) : std::string(text));
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

std::string reference_key(const ImageSource& source) {
  return std::visit(ToKey{}, source);
}

std::string reference_key(std::string_view text) {
  return reference_key(parse_image_source(text));
}

std::optional<FoundImage> find_image(const Configuration& configuration, std::string_view text) {
  const std::vector<Store> stores = open_stores(configuration);
  if (const auto digest = parse_image_id(text)) return find_by_digest(stores, *digest);
  const ImageSource source = parse_image_source(text);
  if (auto found = find_by_reference(stores, reference_key(source))) return found;
  const auto* reference = std::get_if<ImageReference>(&source);
  if (reference != nullptr && reference->digest) return find_by_digest(stores, *reference->digest);
  return is_digest_start(text) ? find_by_digest_start(stores, text) : std::nullopt;
}

FoundImage require_image(const Configuration& configuration, std::string_view text) {
  if (auto found = find_image(configuration, text)) return std::move(*found);
  throw Error(fmt::format("no image {} in the store {}", printable(text), configuration.store.string()),
              fmt::format("`mlctr images` lists what there is; `mlctr pull {}` gets it", printable(text)));
}

}  // namespace mlctr
