#include "app/export_enroot.hpp"

#include <fmt/format.h>

#include "app/enroot_files.hpp"
#include "app/find_image.hpp"
#include "app/open_image.hpp"
#include "app/run_target.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "image/config.hpp"
#include "squashfs/file_content.hpp"
#include "squashfs/merge.hpp"

namespace mlctr {
namespace {

// "docker.io/library/python:3.8" as enroot writes where an image came from.
std::string enroot_uri(const BaseImage& image) {
  if (image.manifest_digest.empty() || image.reference.find(':') == std::string::npos) return image.reference;
  const std::string& text = image.reference;
  if (text.starts_with("oci:") || text.find("-archive:") != std::string::npos) return text;
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return text;
  const std::string registry = text.substr(0, slash);
  return fmt::format("docker://{}#{}", registry == "docker.io" ? "registry-1.docker.io" : registry,
                     text.substr(slash + 1));
}

BaseImage require_base(const Configuration& configuration, const std::string& text) {
  if (auto image = find_base_image(configuration, text)) return std::move(*image);
  require_image(configuration, text);  // throws, with the nearest names
  throw Error("no image " + printable(text));
}

// Without a config of ours there is nothing that enroot would not know.
bool is_ours(const OpenImage& image) {
  return squashfs::has_file(*image.reader, "/.mlctr/config.json");
}

}  // namespace

ExportedForEnroot export_for_enroot(const Configuration& configuration, const ExportRequest& request,
                                    std::stop_token stop) try {
  const BaseImage base = require_base(configuration, request.image);
  const OpenImage image(base.squashfs);
  if (!is_ours(image)) {
    throw Error("it was not made by mlctr, and has no other way to run than what enroot finds in it",
                fmt::format("it is a file for enroot as it is: cp {}", printable(base.squashfs.string(), 4096)));
  }
  const EnrootFiles files = write_enroot_files(parse_image_config(base.config_body), enroot_uri(base));
  std::vector<std::string> directories;
  if (squashfs::is_free(*image.reader, files.working_directory)) directories.push_back(files.working_directory);

  DestinationFile destination(request.destination, request.overwrite);
  squashfs::merge_files(base.squashfs,
                        {{"/etc/rc", files.rc},
                         {"/etc/rc.local", files.rc_local},
                         {"/etc/environment", files.environment},
                         {"/etc/fstab", files.fstab}},
                        directories, destination.fd(), std::move(stop), nullptr);
  destination.commit();
  return {.file = request.destination,
          .manifest_digest = base.manifest_digest,
          .bytes = file_size(destination.fd(), request.destination.string()),
          .left_out = files.left_out};
} catch (const UsageError&) {
  throw;
} catch (const Cancelled&) {
  throw;
} catch (Error& error) {
  error.add_context(fmt::format("cannot export {} for enroot", printable(request.image, 4096)));
  throw;
}

}  // namespace mlctr
