#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/reference.hpp"
#include "image/reference_text.hpp"

namespace mlctr {
namespace {

struct PathAndName {
  std::filesystem::path path;
  std::string name;
};

// Absent where `text` does not begin with `prefix`.
std::optional<PathAndName> parse_prefixed(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  const std::string_view rest = text.substr(prefix.size());
  // The first colon, as skopeo has it: names have colons more often than paths do.
  const std::size_t colon = rest.find(':');
  const std::string_view path = rest.substr(0, colon);
  const auto fail = [&](std::string_view why) {
    throw UsageError(fmt::format("invalid source '{}': {}", printable(text), why),
                     fmt::format("write {}PATH[:NAME]", prefix));
  };
  if (path.empty()) fail("the path is missing");
  if (colon == std::string_view::npos) return PathAndName{path, {}};
  const std::string_view name = rest.substr(colon + 1);
  if (name.empty()) fail("the name after the last ':' is empty");
  const auto is_name_character = [](char c) {
    return is_alphanumeric(c) || std::string_view("._:@/+-").find(c) != std::string_view::npos;
  };
  if (!std::ranges::all_of(name, is_name_character)) fail("the name has a character that no image's name has");
  return PathAndName{path, std::string(name)};
}

// A name like these would be valid on Docker Hub, but nobody who types one means that (enroot and pyxis did).
bool is_squashfs_path(std::string_view text) {
  constexpr std::array<std::string_view, 3> k_suffixes{".sqsh", ".squashfs", ".sif"};
  if (text.starts_with("/") || text.starts_with("./") || text.starts_with("../")) return true;
  if (text.find("://") != std::string_view::npos) return false;
  return std::ranges::any_of(k_suffixes, [&](std::string_view suffix) { return text.ends_with(suffix); });
}

std::string with_name(std::string_view prefix, const std::filesystem::path& path, const std::string& name) {
  std::string text = fmt::format("{}{}", prefix, path.string());
  return name.empty() ? text : text + ":" + name;
}

// skopeo's and podman's names for what only a program of theirs can read.
struct ForeignSource {
  std::string_view prefix, what, saved_by;
};
constexpr std::array<ForeignSource, 2> k_foreign_sources{
    {{"docker-daemon:", "is in docker's own storage", "docker save"},
     {"containers-storage:", "is in podman's own storage", "podman save --format docker-archive"}}};

const ForeignSource* find_foreign_source(std::string_view text) {
  const auto* const found = std::ranges::find_if(
      k_foreign_sources, [&](const ForeignSource& source) { return text.starts_with(source.prefix); });
  return found == k_foreign_sources.end() ? nullptr : found;
}

// Whether parse_image_source would take it for one without "docker://" in front.
bool is_reference(std::string_view text) {
  return !is_squashfs_path(text) && !text.starts_with("oci:") && !text.starts_with("oci-archive:") &&
         !text.starts_with("docker-archive:") && find_foreign_source(text) == nullptr;
}

struct ToString {
  std::string operator()(const ImageReference& reference) const {
    const std::string text = (reference.user.empty() ? "" : reference.user + "@") + reference.familiar();
    // An image may be called "oci", a tag may end in ".sqsh".
    return is_reference(text) ? text : "docker://" + text;
  }
  std::string operator()(const OciLayoutSource& source) const { return with_name("oci:", source.path, source.tag); }
  std::string operator()(const OciArchiveSource& source) const {
    return with_name("oci-archive:", source.path, source.tag);
  }
  std::string operator()(const DockerArchiveSource& source) const {
    return with_name("docker-archive:", source.path, source.tag);
  }
  std::string operator()(const SquashfsSource& source) const { return source.path.string(); }
};

}  // namespace

ImageSource parse_image_source(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    throw UsageError(fmt::format("invalid source '{}': it has a NUL character", printable(text)));
  }
  if (auto source = parse_prefixed(text, "oci:"))
    return OciLayoutSource{std::move(source->path), std::move(source->name)};
  if (auto source = parse_prefixed(text, "oci-archive:"))
    return OciArchiveSource{std::move(source->path), std::move(source->name)};
  if (auto source = parse_prefixed(text, "docker-archive:")) {
    return DockerArchiveSource{std::move(source->path), std::move(source->name)};
  }
  if (const ForeignSource* foreign = find_foreign_source(text)) {
    throw UsageError(fmt::format("{} {}, which mlctr does not read", printable(text), foreign->what),
                     fmt::format("{} -o FILE.tar {}, then docker-archive:FILE.tar", foreign->saved_by,
                                 printable(text.substr(foreign->prefix.size()))));
  }
  if (is_squashfs_path(text)) return SquashfsSource{text};
  return ImageReference::parse(text);
}

std::string to_string(const ImageSource& source) {
  return std::visit(ToString{}, source);
}

}  // namespace mlctr
