#include "app/lock_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>

#include "app/diff_images.hpp"
#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "image/reference.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_lock_bytes = 64u << 20;
constexpr std::size_t k_most_changes = 8;  // named in one message

// A TOML basic string; bytes that are no UTF-8 come out as \u00XX: a lock is for reading, not for their exact bytes.
std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : printable(text, 4096)) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string line_of(const packages::Package& package) {
  std::string line = fmt::format("  {{{} = {}, version = {}", package.ecosystem, toml_string(package.name),
                                 toml_string(package.version));
  if (!package.origin.empty()) line += fmt::format(", origin = {}", toml_string(package.origin));
  return line + "},\n";
}

std::string text_of(const LockedImage& image) {
  std::string text = fmt::format("\n[[image]]\nreference = {}\nplatform = {}\n", toml_string(image.reference),
                                 toml_string(image.platform.to_string()));
  if (image.index) text += fmt::format("index = \"{}\"\n", image.index->to_string());
  text += fmt::format("manifest = \"{}\"\nsquashfs = \"{}\"\nlayers = [\n", image.manifest.to_string(),
                      image.squashfs.to_string());
  for (const Digest& layer : image.layers) text += fmt::format("  \"{}\",\n", layer.to_string());
  text += "]\npackages = [\n";
  for (const packages::Package& package : image.packages) text += line_of(package);
  return text + "]\n";
}

class LockReader {
 public:
  explicit LockReader(const std::filesystem::path& path) : path_(path) {}

  LockFile read(std::string_view text) const {
    toml::table table = parse(text);
    const auto version = table["version"].value<std::int64_t>();
    if (version != 1) fail("its version is not 1", "another mlctr wrote it: mlctr lock writes it anew");
    LockFile lock{path_, {}};
    const toml::array* images = table["image"].as_array();
    for (std::size_t i = 0; images != nullptr && i < images->size(); ++i) {
      const toml::table* image = images->get(i)->as_table();
      if (image == nullptr) fail("an image in it is no table");
      lock.images.push_back(read_image(*image));
    }
    return lock;
  }

 private:
  toml::table parse(std::string_view text) const try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    fail(fmt::format("line {}, column {}: {}", error.source().begin.line, error.source().begin.column,
                     error.description()));
  }

  [[noreturn]] void fail(std::string_view why, std::string hint = "mlctr lock writes it anew") const {
    throw Error(fmt::format("cannot read {}: {}", printable(path_.string(), 4096), printable(why, 1024)),
                std::move(hint));
  }

  std::string text_at(const toml::table& table, std::string_view key) const {
    const auto value = table[key].value<std::string>();
    if (!value) fail(fmt::format("an image has no {}", key));
    return *value;
  }

  Digest digest(std::string_view text) const try { return Digest::parse(text); } catch (const Error& error) {
    fail(error.message());
  }

  LockedImage read_image(const toml::table& table) const {
    LockedImage image{.reference = text_at(table, "reference"),
                      .platform = Platform::parse(text_at(table, "platform")),
                      .index = std::nullopt,
                      .manifest = digest(text_at(table, "manifest")),
                      .squashfs = digest(text_at(table, "squashfs")),
                      .layers = {},
                      .packages = {}};
    if (table.contains("index")) image.index = digest(text_at(table, "index"));
    if (const toml::array* layers = table["layers"].as_array()) {
      for (const toml::node& layer : *layers) image.layers.push_back(digest(layer.value_or(std::string())));
    }
    if (const toml::array* packages = table["packages"].as_array()) {
      for (const toml::node& node : *packages) {
        if (const toml::table* package = node.as_table()) image.packages.push_back(read_package(*package));
      }
    }
    return image;
  }

  static packages::Package read_package(const toml::table& table) {
    packages::Package package{
        {}, {}, table["version"].value_or(std::string()), table["origin"].value_or(std::string())};
    for (const auto& [key, value] : table) {
      if (key.str() == "version" || key.str() == "origin") continue;
      package.ecosystem = key.str();
      package.name = value.value_or(std::string());
    }
    return package;
  }

  const std::filesystem::path& path_;
};

std::string change_of(const PackageChange& change) {
  if (change.before.empty()) return fmt::format("{} {} came", change.name, change.after);
  if (change.after.empty()) return fmt::format("{} {} went", change.name, change.before);
  return fmt::format("{} {} -> {}", change.name, change.before, change.after);
}

std::string changes_between(const std::vector<packages::Package>& before, const std::vector<packages::Package>& after) {
  const std::vector<PackageChange> changes = compare_packages(before, after);
  std::string text;
  for (std::size_t i = 0; i < std::min(changes.size(), k_most_changes); ++i) {
    text += (i == 0 ? "; packages: " : ", ") + printable(change_of(changes[i]));
  }
  if (changes.size() > k_most_changes) text += fmt::format(" and {} more", changes.size() - k_most_changes);
  return text;
}

[[noreturn]] void refuse_drift(const LockFile& lock, const LockedImage& image, const Digest& locked, const Digest& now,
                               std::string_view changes) {
  const std::string path = printable(lock.path.string(), 4096);
  throw Error(fmt::format("{} is not what {} says: locked {}, now {}{}", printable(image.reference, 1024), path,
                          locked.to_string(), now.to_string(), changes),
              fmt::format("mlctr lock -o {0} … takes the new one; mlctr pull {1} is the locked one", path,
                          printable(pinned_reference(image), 1024)));
}

}  // namespace

std::string to_text(const LockFile& lock) {
  std::vector<const LockedImage*> images;
  for (const LockedImage& image : lock.images) images.push_back(&image);
  std::sort(images.begin(), images.end(), [](const LockedImage* a, const LockedImage* b) {
    return std::pair(a->reference, a->platform.to_string()) < std::pair(b->reference, b->platform.to_string());
  });
  std::string text = "# Written by `mlctr lock`; commit it. --locked refuses what is not in it.\nversion = 1\n";
  for (const LockedImage* image : images) text += text_of(*image);
  return text;
}

LockFile parse_lock_file(std::string_view text, const std::filesystem::path& path) {
  return LockReader(path).read(text);
}

LockFile read_lock_file(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(fmt::format("there is no {}", printable(path.string(), 4096)), "`mlctr lock REF` writes it");
  }
  return parse_lock_file(read_file(path, k_max_lock_bytes), path);
}

const LockedImage& locked_image(const LockFile& lock, std::string_view reference, const Platform& platform) {
  const std::string key = reference_key(reference);
  for (const LockedImage& image : lock.images) {
    if (image.reference == key && platform_score(platform, image.platform) > 0) return image;
  }
  throw Error(fmt::format("{} has no {} for {}", printable(lock.path.string(), 4096), printable(key, 1024),
                          platform.to_string()),
              fmt::format("`mlctr lock` writes it anew, with every image that is to be in it"));
}

std::string pinned_reference(const LockedImage& image) {
  ImageReference reference = ImageReference::parse(image.reference);
  reference.digest = image.manifest;
  return reference.to_string();
}

void check_not_moved(const LockFile& lock, const LockedImage& image, const Digest& now) {
  const Digest& locked = image.index ? *image.index : image.manifest;
  if (now != locked && now != image.manifest) refuse_drift(lock, image, locked, now, "");
}

void check_same_image(const LockFile& lock, const LockedImage& image, const Digest& now,
                      const std::vector<packages::Package>& packages) {
  if (now == image.manifest) return;
  refuse_drift(lock, image, image.manifest, now, changes_between(image.packages, packages));
}

std::string resolve_lock_target(const std::string& text) {
  if (!text.starts_with('@')) return text;
  const LockFile lock = read_lock_file(text.substr(1));
  if (lock.images.size() == 1) return pinned_reference(lock.images.front());
  throw UsageError(fmt::format("{} has {} images, not one", printable(text.substr(1), 4096), lock.images.size()),
                   "name the one you mean: mlctr run --locked REF");
}

}  // namespace mlctr
