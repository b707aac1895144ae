#include "app/source_file.hpp"

#include <fmt/format.h>

#include <array>

#include "app/file_set.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_block_bytes = 512;

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  SourceFile kind;
};
// squashfs: fs/squashfs/squashfs_fs.h; SIF: sif.h's SIF_MAGIC after 32 bytes of a "#!" line; tar: pax(1), "ustar
// Interchange Format" (GNU's begins alike).
constexpr std::array<Magic, 8> k_magics{{{0, "hsqs", SourceFile::squashfs},
                                         {0, "mlcp", SourceFile::squashfs},  // of mlctr's store (image_pieces.hpp)
                                         {0, "\x1f\x8b", SourceFile::compressed},
                                         {0, "\x28\xb5\x2f\xfd", SourceFile::compressed},
                                         {0, "\xfd\x37zXZ", SourceFile::compressed},
                                         {0, "BZh", SourceFile::compressed},
                                         {32, "SIF_MAGIC", SourceFile::sif},
                                         {257, "ustar", SourceFile::other_tar}}};

SourceFile kind_of_start(std::string_view start) {
  for (const Magic& magic : k_magics) {
    if (start.size() > magic.offset && start.substr(magic.offset).starts_with(magic.bytes)) return magic.kind;
  }
  return SourceFile::other;
}

// docker's own since version 25 is both; as a docker archive its images can be chosen by the names docker shows.
SourceFile kind_of_tar(const std::filesystem::path& path) try {
  const std::unique_ptr<FileSet> files = open_tar(path, {});
  if (files->find("manifest.json")) return SourceFile::docker_archive;
  return files->find("oci-layout") ? SourceFile::oci_archive : SourceFile::other_tar;
} catch (const Error&) {
  return SourceFile::damaged_tar;
}

SourceFile kind_of_file(const std::filesystem::path& path) {
  std::string start(k_block_bytes, '\0');
  const Fd fd = open_regular_file(path);
  start.resize(read_at(fd.get(), std::as_writable_bytes(std::span(start)), 0, path.string()));
  const SourceFile kind = kind_of_start(start);
  return kind == SourceFile::other_tar ? kind_of_tar(path) : kind;
}

struct Diagnosis {
  std::string_view what;
  std::string hint;
};

Diagnosis diagnose(SourceFile kind, const std::string& path) {
  switch (kind) {
    case SourceFile::squashfs:
      return {"a squashfs file", fmt::format("write {} alone", path)};
    case SourceFile::sif:
      return {"a SIF file", fmt::format("`mlctr run {}` runs it as it is; `apptainer sif list {}` shows the number N "
                                        "of its squashfs, `apptainer sif dump N {} "
                                        ">image.sqsh` takes it out",
                                        path, path, path)};
    case SourceFile::oci_layout:
      return {"an OCI layout", fmt::format("did you mean oci:{}?", path)};
    case SourceFile::oci_archive:
      return {"an OCI archive", fmt::format("did you mean oci-archive:{}?", path)};
    case SourceFile::docker_archive:
      return {"a docker archive", fmt::format("did you mean docker-archive:{}?", path)};
    case SourceFile::other_tar:
      return {"a tar of no image: it has neither manifest.json nor oci-layout",
              "images come in what `docker save`, `podman save` or `skopeo copy … oci-archive:FILE` write"};
    case SourceFile::damaged_tar:
      return {"a damaged tar archive", "make it anew, or copy it again"};
    case SourceFile::compressed:
      return {"a compressed file",
              fmt::format("docker-archive:{} if `docker save` made it, oci-archive:{} if it is a tar of an OCI layout",
                          path, path)};
    case SourceFile::directory:
      return {"a directory without an OCI layout (it has no file oci-layout)",
              "name a .sqsh file, an archive, or the directory that holds oci-layout and index.json"};
    case SourceFile::missing:
    case SourceFile::unreadable:
    case SourceFile::other:
      break;
  }
  return {"no squashfs file and no archive of an image", "name a .sqsh file, oci-archive:FILE or docker-archive:FILE"};
}

bool is_reference(std::string_view text) try {
  return std::holds_alternative<ImageReference>(parse_image_source(text));
} catch (const UsageError&) {
  return false;
}

[[noreturn]] void refuse(SourceFile kind, const std::filesystem::path& path) {
  const std::string shown = printable(path.string(), 4096);
  const Diagnosis diagnosis = diagnose(kind, shown);
  throw UsageError(fmt::format("{} is {}", shown, diagnosis.what), diagnosis.hint);
}

// Of a text that may also be meant as a reference.
[[noreturn]] void refuse_name(SourceFile kind, const std::filesystem::path& path, std::string_view text) {
  try {
    refuse(kind, path);
  } catch (UsageError& error) {
    if (is_reference(text)) error.replace_hint(fmt::format("{} (docker://{} is the registry's)", error.hint(), text));
    throw;
  }
}

bool is_layout_too(const std::filesystem::path& docker_archive) {
  return open_tar(docker_archive, {})->find("oci-layout").has_value();
}

// Only kinds that are surely wrong are refused: whoever reads the others says best what is wrong inside.
struct Check {
  void operator()(const ImageReference&) const {}

  void operator()(const OciLayoutSource& layout) const {
    const SourceFile kind = look_at(layout.path);
    if (!is_absent(kind) && kind != SourceFile::oci_layout) refuse(kind, layout.path);
  }

  void operator()(const SquashfsSource& file) const {
    const SourceFile kind = look_at(file.path);
    if (!is_absent(kind) && kind != SourceFile::squashfs) refuse(kind, file.path);
  }

  void operator()(const OciArchiveSource& archive) const {
    const SourceFile kind = look_at(archive.path);
    const bool is_wrong = kind == SourceFile::docker_archive && !is_layout_too(archive.path);
    if (is_wrong || is_no_archive(kind)) refuse(kind, archive.path);
  }

  void operator()(const DockerArchiveSource& archive) const {
    const SourceFile kind = look_at(archive.path);
    if (kind == SourceFile::oci_archive || is_no_archive(kind)) refuse(kind, archive.path);
  }

 private:
  static bool is_absent(SourceFile kind) { return kind == SourceFile::missing || kind == SourceFile::unreadable; }

  static bool is_no_archive(SourceFile kind) {
    return kind == SourceFile::squashfs || kind == SourceFile::sif || kind == SourceFile::other_tar ||
           kind == SourceFile::oci_layout || kind == SourceFile::directory;
  }
};

}  // namespace

SourceFile look_at(const std::filesystem::path& path) {
  try {
    const std::filesystem::file_status status = std::filesystem::status(path);
    if (!std::filesystem::exists(status)) return SourceFile::missing;
    if (std::filesystem::is_regular_file(status)) return kind_of_file(path);
    if (!std::filesystem::is_directory(status)) return SourceFile::unreadable;  // opening a device does something
    return std::filesystem::exists(path / "oci-layout") ? SourceFile::oci_layout : SourceFile::directory;
  } catch (const std::exception&) {
    return SourceFile::unreadable;
  }
}

bool has_squashfs(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return false;
  const SourceFile kind = look_at(file);
  return kind == SourceFile::squashfs || kind == SourceFile::sif;
}

ImageSource find_source(std::string_view text) {
  const std::filesystem::path path(text);
  const bool may_be_path = !text.empty() && text.find('\0') == std::string_view::npos;
  const SourceFile kind = may_be_path ? look_at(path) : SourceFile::missing;
  switch (kind) {
    case SourceFile::squashfs:
      return SquashfsSource{path.has_parent_path() ? path : "." / path};  // a path wherever the text is parsed again
    case SourceFile::sif:
    case SourceFile::oci_layout:
    case SourceFile::oci_archive:
    case SourceFile::docker_archive:
    case SourceFile::other_tar:
    case SourceFile::damaged_tar:
    case SourceFile::compressed:
      refuse_name(kind, path, text);
    case SourceFile::missing:
    case SourceFile::directory:  // a file or a directory of an image's name is usual: the registry's is meant
    case SourceFile::other:
    case SourceFile::unreadable:
      break;
  }
  return parse_image_source(text);
}

void check_source(const ImageSource& source) {
  std::visit(Check{}, source);
}

}  // namespace mlctr
