#include "app/lost_recording.hpp"

#include <fmt/format.h>

#include "app/find_image.hpp"
#include "app/open_stores.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

using State = RecordedFile::State;

bool is_meant(const StoredImage& image, std::string_view text) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  return text.size() >= k_fewest_digits && image.manifest_digest.hex().starts_with(text);
}

// The name that `text` is, or else one that leads to the image.
std::string name_of(const Store& store, const StoredImage& image, const std::string& path) {
  std::string name;
  for (const ReferenceRecord& record : store.references()) {
    if (record.manifest_digest != image.manifest_digest) continue;
    if (record.reference == path) return path;
    name = record.reference;
  }
  return name;
}

// `known_path` is one that the reader of the line sees already.
std::string problem_of(const RecordedFile& file, std::string_view known_path) {
  const char* problem = file.state == State::away ? "is not there (deleted, or not mounted here)" : "has changed since";
  if (file.path == known_path) return fmt::format("the recorded file {}", problem);
  return fmt::format("the recorded file {} {}", printable(file.path.string(), 4096), problem);
}

std::string what_to_type(std::string_view name) {
  return fmt::format("`mlctr pull {0}` records it again, `mlctr rmi {0}` forgets it", printable(name, 4096));
}

}  // namespace

std::string describe_lost_recording(const Store& store, const Digest& manifest_digest, std::string_view name) {
  const std::optional<RecordedFile> file = store.recorded_file(manifest_digest);
  if (!file || file->state == State::unchanged) return {};
  return fmt::format("{}; {}", problem_of(*file, name), what_to_type(name));
}

void refuse_lost_recording(const Configuration& configuration, std::string_view text, RecordedFile::State state) {
  if (text.empty()) return;
  const std::string path = absolute_path(text).lexically_normal().string();
  for (const Store& store : open_stores(configuration)) {
    for (const StoredImage& image : store.images()) {
      const std::optional<RecordedFile> file = store.recorded_file(image.manifest_digest);
      if (!file || file->state != state) continue;
      const std::string name = name_of(store, image, path);
      if (name != path && !is_meant(image, text)) continue;
      throw Error(problem_of(*file, ""), what_to_type(name.empty() ? file->path.string() : name));
    }
  }
}

}  // namespace mlctr
