#include "app/find_image.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "app/lost_recording.hpp"
#include "app/open_stores.hpp"
#include "app/source_file.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_most_candidates = 8;

std::string normal_path(const std::filesystem::path& path) {
  return absolute_path(path).lexically_normal().string();
}

std::string with_tag(std::string_view scheme, const std::filesystem::path& path, const std::string& tag) {
  return fmt::format("{}{}{}{}", scheme, normal_path(path), tag.empty() ? "" : ":", tag);
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
  std::string operator()(const SquashfsSource& file) const { return normal_path(file.path); }
};

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
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

// "abcd10000000 (python:3.8, py38)"
std::string candidate(const std::vector<Store>& stores, const Digest& digest, std::size_t digits) {
  const std::vector<ReferenceRecord> records = references_to(stores, digest);
  std::vector<std::string> names;
  for (const ReferenceRecord& record : records) names.push_back(printable(record.reference));
  const std::string id = digest.hex().substr(0, std::max(digest.short_hex().size(), digits + k_fewest_digits));
  return names.empty() ? id : fmt::format("{} ({})", id, fmt::join(names, ", "));
}

[[noreturn]] void refuse_ambiguous(const std::vector<Store>& stores, const std::vector<Digest>& matches,
                                   const ImageId& id) {
  std::vector<std::string> candidates;
  for (const Digest& digest : matches) {
    if (candidates.size() == k_most_candidates) break;
    candidates.push_back(candidate(stores, digest, id.digits.size()));
  }
  if (matches.size() > candidates.size()) candidates.emplace_back("…");
  throw UsageError(fmt::format("{} images begin with '{}'", matches.size(), id.digits),
                   fmt::format("give more digits: {}", fmt::join(candidates, ", ")));
}

std::optional<FoundImage> find_by_id(const std::vector<Store>& stores, const ImageId& id) {
  std::vector<Digest> matches;
  for (const Store& store : stores) {
    for (const StoredImage& image : store.images()) {
      const Digest& digest = image.manifest_digest;
      if (digest.algorithm_name() == id.algorithm && digest.hex().starts_with(id.digits)) matches.push_back(digest);
    }
  }
  std::sort(matches.begin(), matches.end());
  matches.erase(std::unique(matches.begin(), matches.end()), matches.end());
  if (matches.size() > 1) refuse_ambiguous(stores, matches, id);
  return matches.empty() ? std::nullopt : find_by_digest(stores, matches.front());
}

// What can only be an ID: "sha256:…", or 64 hex digits, which the grammar of references leaves out.
bool is_surely_id(std::string_view text) {
  return text.starts_with("sha256:") || text.starts_with("sha512:") || (text.size() == 64 && is_hex(text));
}

std::string how_to_get(std::string_view text) {
  if (is_surely_id(text)) return "`mlctr images` lists what there is";
  const std::string pull = fmt::format("`mlctr images` lists what there is; `mlctr pull {}` gets it", printable(text));
  if (!is_hex(text) || text.size() >= k_fewest_digits) return pull;
  return fmt::format("{}; the start of a digest is {} digits or more", pull, k_fewest_digits);
}

}  // namespace

std::optional<ImageId> parse_image_id(std::string_view text) {
  if (!is_surely_id(text)) return std::nullopt;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return ImageId{"sha256", std::string(text)};
  const ImageId id{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  if (!is_hex(id.digits) || id.digits.size() > 64) Digest::parse(text);  // says what is wrong with it
  if (id.digits.size() < k_fewest_digits) {
    throw UsageError(fmt::format("'{}' is too short for the start of a digest", printable(text)),
                     fmt::format("give {} digits or more, as `mlctr images` shows them", k_fewest_digits));
  }
  return id;
}

std::vector<ReferenceRecord> references_to(const std::vector<Store>& stores, const Digest& manifest_digest) {
  std::vector<ReferenceRecord> found;
  std::set<std::string> seen;
  for (const Store& store : stores) {
    for (const ReferenceRecord& record : store.references()) {
      // The nearer store's meaning of a name holds.
      if (seen.insert(record.reference).second && record.manifest_digest == manifest_digest) found.push_back(record);
    }
  }
  return found;
}

std::string reference_key(const ImageSource& source) {
  return std::visit(ToKey{}, source);
}

std::string reference_key(std::string_view text) {
  return reference_key(parse_image_source(text));
}

std::string familiar_name(const std::string& key) {
  try {
    const ImageSource source = parse_image_source(key);
    const auto* reference = std::get_if<ImageReference>(&source);
    return reference == nullptr ? key : reference->familiar();
  } catch (const UsageError&) {
    return key;  // a file's path
  }
}

std::optional<FoundImage> find_image(const Configuration& configuration, std::string_view text) {
  const std::vector<Store> stores = open_stores(configuration);
  if (const auto id = parse_image_id(text)) return find_by_id(stores, *id);
  // A name that is in the store means that image, even where an archive of that name lies in the directory.
  const bool is_file = look_at(text) == SourceFile::squashfs;
  const ImageSource source = is_file ? find_source(text) : parse_image_source(text);
  if (auto found = find_by_reference(stores, reference_key(source))) return found;
  const auto* reference = std::get_if<ImageReference>(&source);
  if (reference != nullptr && reference->digest) return find_by_digest(stores, *reference->digest);
  const bool may_be_id = is_hex(text) && text.size() >= k_fewest_digits;
  return may_be_id ? find_by_id(stores, {"sha256", std::string(text)}) : std::nullopt;
}

FoundImage require_image(const Configuration& configuration, std::string_view text) {
  if (auto found = find_image(configuration, text)) return std::move(*found);
  refuse_lost_recording(configuration, text, RecordedFile::State::away);
  refuse_lost_recording(configuration, text, RecordedFile::State::changed);
  if (!is_surely_id(text)) find_source(text);  // an archive's name: it says what to type
  if (open_containers(configuration).find(text)) {
    throw Error(
        fmt::format("{} is a container, not an image", printable(text)),
        fmt::format("`mlctr ps --all` tells about it, `mlctr save {0} FILE.sqsh` writes it as a file, `mlctr commit "
                    "{0} REFERENCE` makes an image of it",
                    printable(text)));
  }
  throw Error(fmt::format("no image {} in the store {}", printable(text), configuration.store.string()),
              how_to_get(text));
}

}  // namespace mlctr
