// What the user types for an image, parsed once.
//
//   source     ::= "oci:" DIR [":" NAME] | "oci-archive:" FILE [":" NAME] | "docker-archive:" FILE [":" NAME]
//                | PATH ending in .sqsh/.squashfs/.sif, or starting with / ./ ../     (a squashfs file)
//                | ["docker://"] reference
//   reference  ::= [USER "@"] [REGISTRY ("/" | "#")] REPOSITORY [":" TAG] ["@" DIGEST]
//   USER       ::= printable ASCII without space / # : (it may have "@": the last one counts)
//   NAME       ::= [A-Za-z0-9._:@/+-]+, what a layout or archive calls the image; DIR and FILE end at the first ":"
//   REGISTRY   ::= a first component with a "." or ":" in it, or "localhost", or anything before enroot's "#"; else
//                  Docker Hub
//   REPOSITORY ::= component ("/" component)*, as distribution/reference has it: [a-z0-9]+ separated by . _ __ -+
//   TAG        ::= [A-Za-z0-9_][A-Za-z0-9._-]{0,127}
//
// Docker Hub's aliases (docker.io, index.docker.io, registry-1.docker.io) become "docker.io", a lone name
// "library/name"; host names are lower-cased. 64 lone hex digits are refused, as Docker does, and
// so is a lone "sha256:…": they are an image's ID.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "image/digest.hpp"

namespace mlctr {

struct ImageReference {
  std::string user;        ///< empty where none was given: which credentials to use, not part of the name
  std::string registry;    ///< "docker.io", "localhost:5000", "[::1]:5000"
  std::string repository;  ///< "library/python"
  std::string tag;         ///< "latest" where neither tag nor digest was given; empty where only a digest was
  std::optional<Digest> digest;

  /// Throws UsageError: what is wrong, at which character (counted from 1), and the form that would be right.
  static ImageReference parse(std::string_view text);

  /// "docker.io/library/python:3.8", with "@sha256:…" where there is a digest. A registry that only "#" tells from a
  /// namespace keeps it: "myregistry#team/image:1". ImageReference::parse gives the same reference (but the user) back.
  std::string to_string() const;
  /// As short as Docker prints it: "python:3.8".
  std::string familiar() const;
  /// What to ask the registry for: the digest where there is one, else the tag.
  std::string selector() const;

  bool operator==(const ImageReference&) const = default;
};

/// An OCI layout directory, or a tar of one; the tag selects by org.opencontainers.image.ref.name, empty: the only one.
struct OciLayoutSource {
  std::filesystem::path path;
  std::string tag;
};
struct OciArchiveSource {
  std::filesystem::path path;
  std::string tag;
};
/// What `docker save` writes.
struct DockerArchiveSource {
  std::filesystem::path path;
  std::string tag;
};
struct SquashfsSource {
  std::filesystem::path path;
};

using ImageSource =
    std::variant<ImageReference, OciLayoutSource, OciArchiveSource, DockerArchiveSource, SquashfsSource>;

/// Looks at the text alone: whether a file is there is for the caller to find out. Throws UsageError.
ImageSource parse_image_source(std::string_view text);

/// As the user would type it, user name included; parse_image_source gives the same source back.
std::string to_string(const ImageSource& source);

}  // namespace mlctr
