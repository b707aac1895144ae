#include "app/build_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

#include "app/assemble_image.hpp"
#include "app/build_place.hpp"
#include "app/fetch_files.hpp"
#include "app/fetch_repository.hpp"
#include "app/find_image.hpp"
#include "app/runtime_directory.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "build/build.hpp"
#include "image/media_type.hpp"
#include "squashfs/layer_tar.hpp"
#include "squashfs/tables.hpp"

namespace mlctr {
namespace {

using build::ExternalImage;
using build::ImageLayer;

// Of a squashfs file that nothing is known of.
constexpr const char* k_no_config =
    R"({"architecture":"","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}})";
constexpr const char* k_epoch = "SOURCE_DATE_EPOCH";
constexpr const char* k_config_media_type = "application/vnd.oci.image.config.v1+json";
constexpr const char* k_oci_layer_gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
constexpr const char* k_oci_layer_tar = "application/vnd.oci.image.layer.v1.tar";

ImageReference parse_tag(const std::string& text) {
  const ImageSource source = parse_image_source(text);
  const auto* reference = std::get_if<ImageReference>(&source);
  if (reference != nullptr && !reference->digest) return *reference;
  throw UsageError(fmt::format("-t {}: that is no name for an image", printable(text)), "-t REPOSITORY[:TAG]");
}

// The same bytes under OCI's names: an OCI manifest has no others.
Descriptor as_oci(Descriptor layer) {
  if (layer.media_type == "application/vnd.docker.image.rootfs.diff.tar.gzip") layer.media_type = k_oci_layer_gzip;
  if (layer.media_type == "application/vnd.docker.image.rootfs.diff.tar") layer.media_type = k_oci_layer_tar;
  return layer;
}

// An image that did not come as layers is one.
std::vector<ImageLayer> as_one_layer(const std::filesystem::path& squashfs, const std::stop_token& stop) {
  const Fd file = open_file(squashfs, O_RDONLY);
  const squashfs::Reader reader(file.get(), squashfs);
  const squashfs::LayerTarSummary summary = squashfs::summarize_layer_tar(reader, stop);
  return {{{.media_type = k_oci_layer_tar, .digest = summary.diff_id, .size_bytes = summary.bytes, .urls = {}},
           summary.diff_id}};
}

std::vector<ImageLayer> layers_of(const BaseImage& image, const std::stop_token& stop) {
  const ImageConfig config = image.config_body.empty() ? ImageConfig{} : parse_image_config(image.config_body);
  if (image.manifest_digest.empty()) return as_one_layer(image.squashfs, stop);
  const auto parsed =
      parse_manifest(read_file(image.squashfs.parent_path() / "manifest.json", k_max_manifest_bytes), "");
  const auto& manifest = std::get<Manifest>(parsed);
  if (manifest.layers.empty() || manifest.layers.size() != config.diff_ids.size())
    return as_one_layer(image.squashfs, stop);
  std::vector<ImageLayer> layers;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    layers.push_back({as_oci(manifest.layers[i]), config.diff_ids[i]});
  }
  return layers;
}

// What FROM scratch starts from.
std::filesystem::path make_empty_image(const std::filesystem::path& place) {
  const std::filesystem::path path = place / "scratch.sqsh";
  const Fd file = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  squashfs::write_tables(squashfs::Tree(), file.get(), squashfs::k_data_start);
  return path;
}

build::ExternalImages hold_images(const std::map<std::string, BaseImage>& bases, BuildPlace& place,
                                  const std::stop_token& stop) {
  build::ExternalImages images;
  for (const auto& [name, base] : bases) {
    std::vector<ImageLayer> layers = layers_of(base, stop);
    const std::string identity = base.manifest_digest.empty() ? layers[0].diff_id.to_string() : base.manifest_digest;
    images.emplace(name, ExternalImage{.files = {.image = place.hold_image(base.squashfs), .identity = identity},
                                       .config_body = base.config_body.empty() ? k_no_config : base.config_body,
                                       .layers = std::move(layers)});
  }
  images.emplace("scratch", ExternalImage{.files = {.image = make_empty_image(place.path()), .identity = "scratch"},
                                          .config_body = {},
                                          .layers = {}});
  return images;
}

std::optional<std::uint32_t> parse_epoch(const std::string& text) {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) return seconds;
  throw UsageError(fmt::format("{}={} is no time", k_epoch, printable(text)), "seconds since 1970");
}

// The build's time: what nothing in the image is younger than.
std::uint32_t time_of(const BuildRequest& request, const std::map<std::string, BaseImage>& bases) {
  if (const auto given = request.arguments.find(k_epoch); given != request.arguments.end())
    return *parse_epoch(given->second);
  if (const char* variable = std::getenv(k_epoch); variable != nullptr && *variable != '\0')
    return *parse_epoch(variable);
  std::uint32_t newest = 0;
  for (const auto& [name, base] : bases) {
    if (base.config_body.empty()) continue;
    newest = std::max(newest, build::parse_time(parse_image_config(base.config_body).created).value_or(0));
  }
  return newest;
}

squashfs::PackOptions packing_of(const Configuration& configuration) {
  return {
      .threads = configuration.threads > 0 ? configuration.threads : std::max(1u, std::thread::hardware_concurrency()),
      .compression_level = configuration.compression_level,
      .limits = {.max_uncompressed_bytes = configuration.max_layer_bytes,
                 .max_entries = configuration.max_layer_entries}};
}

// As long as it is held, gc leaves alone what was used lately.
class RunningBuild {
 public:
  explicit RunningBuild(const Store& store)
      : lock_(Lock::acquire(store.root() / "locks" / ("image-build-" + random_suffix()), {}, {})) {}
  ~RunningBuild() {
    try {
      lock_.remove();
    } catch (const Error&) {
      // gc removes it.
    }
  }
  RunningBuild(const RunningBuild&) = delete;
  RunningBuild& operator=(const RunningBuild&) = delete;

 private:
  Lock lock_;
};

ResolvedImage describe(const build::BuiltStage& built) {
  Manifest manifest{.media_type = std::string(k_oci_manifest),
                    .config = {.media_type = k_config_media_type,
                               .digest = Digest::of(built.config_body),
                               .size_bytes = built.config_body.size(),
                               .urls = {}},
                    .layers = {}};
  for (const ImageLayer& layer : built.layers) manifest.layers.push_back(layer.descriptor);
  std::string body = write_manifest(manifest);
  const Digest digest = Digest::of(body);
  return {.digest = digest,
          .manifest_body = std::move(body),
          .manifest = std::move(manifest),
          .config_body = built.config_body,
          .config = parse_image_config(built.config_body)};
}

BuiltImage publish(build::BuiltStage& built, const std::vector<ImageReference>& references, Store& store,
                   const std::stop_token& stop) {
  const ResolvedImage image = describe(built);
  const Lock lock = store.lock_image(image.digest, stop, {});
  if (!store.find_image(image.digest)) {
    Store::NewImage made = store.new_image(image.digest);
    built.tree.write(built.files, store, provenance_files(image, ""), made.fd(), made.directory(), stop);
    made.commit(image.manifest_body, image.config_body);
  }
  BuiltImage result{.references = {}, .digest = image.digest};
  for (const ImageReference& reference : references) {
    store.set_reference({reference_key(ImageSource(reference)), image.digest, std::time(nullptr)});
    result.references.push_back(reference.familiar());
  }
  if (const auto stored = store.find_image(image.digest)) result.bytes = std::filesystem::file_size(stored->squashfs);
  return result;
}

[[noreturn]] void refuse_failed(const build::FailedStep& step, const std::string& file, BuildPlace& place,
                                const Store& store) {
  const std::string what =
      step.message.empty() ? fmt::format("exit code {}", step.exit_code.value_or(1)) : step.message;
  Error error(fmt::format("{}:{}: {}: {}", printable(file, 4096), step.line, step.label, what), step.hint);
  if (step.exit_code) {
    error.add_hint(fmt::format("`mlctr run -r build:{}` enters what the step left", place.keep_failed(step, store)));
  }
  throw error;
}

void add_secret(std::map<std::string, Fd>& secrets, const std::string& id, Fd file) {
  if (!secrets.emplace(id, std::move(file)).second)
    throw UsageError(fmt::format("--secret {}: given twice", printable(id)));
}

// Out of our environment too, which every process of the build would have.
Fd take_variable(const std::string& name) {
  char* value = std::getenv(name.c_str());
  if (value == nullptr) throw UsageError(fmt::format("--secret env={}: there is no such variable", printable(name)));
  Fd file(::memfd_create("secret", MFD_CLOEXEC));
  if (!file) throw SysError("cannot keep a secret");
  const std::size_t size = std::strlen(value);
  write_all(file.get(), std::as_bytes(std::span(value, size)), "a secret");
  ::explicit_bzero(value, size);
  ::unsetenv(name.c_str());
  return file;
}

}  // namespace

std::map<std::string, Fd> open_secrets(const std::vector<std::string>& options) {
  std::map<std::string, Fd> secrets;
  for (const std::string& option : options) {
    std::map<std::string, std::string> fields;
    for (std::size_t begin = 0; begin <= option.size();) {
      const std::size_t end = std::min(option.find(',', begin), option.size());
      const std::string field = option.substr(begin, end - begin);
      const std::size_t equals = field.find('=');
      if (equals != field.npos) fields[field.substr(0, equals)] = field.substr(equals + 1);
      begin = end + 1;
    }
    const std::string source = fields.contains("src") ? fields["src"] : fields["source"];
    if (fields["id"].empty()) throw UsageError("--secret needs an id", "--secret id=NAME,src=FILE (or env=VARIABLE)");
    if (!source.empty()) {
      add_secret(secrets, fields["id"], open_regular_file(source));
    } else {
      add_secret(secrets, fields["id"], take_variable(fields["env"].empty() ? fields["id"] : fields["env"]));
    }
  }
  return secrets;
}

BuiltImage build_image(const Configuration& configuration, const BuildSource& source,
                       const std::map<std::string, BaseImage>& bases, const std::map<std::string, Fd>& secrets,
                       const BuildRequest& request, build::BuildWatcher& watcher, const std::stop_token& stop) {
  std::vector<ImageReference> references;
  for (const std::string& text : request.references) references.push_back(parse_tag(text));
  Store store(configuration.store, Store::Access::read_write);
  const RunningBuild running(store);
  BuildPlace place(configuration);
  const build::ExternalImages images = hold_images(bases, place, stop);
  const build::BuildPlaces places{.store = store,
                                  .place = place.path(),
                                  .caches = place.caches(),
                                  .scratch = open_runtime_directory().scratch,
                                  .context = *source.context,
                                  .secrets = secrets,
                                  .packing = packing_of(configuration),
                                  .time = time_of(request, bases)};
  build::BuildContext context{.places = places,
                              .globals = *source.globals,
                              .images = images,
                              .platform = request.platform,
                              .cache = StepCache(store),
                              .reuse = request.reuse,
                              .watcher = watcher,
                              .download = [&, number = 0](const auto& urls, const auto& checksum) mutable {
                                const auto directory = place.path() / fmt::format("downloads-{}", number++);
                                if (const auto repository = build::parse_git_source(urls[0])) {
                                  fetch_repository(*repository, checksum, directory);
                                } else {
                                  fetch_files(urls, checksum, directory, configuration, stop);
                                }
                                return directory;
                              }};
  for (const std::string& warning : source.warnings) watcher.note(warning);
  auto result = build::build_stages(context, source.plan, stop);
  if (const auto* failed = std::get_if<build::FailedStep>(&result))
    refuse_failed(*failed, source.file->filename, place, store);
  return publish(std::get<build::BuiltStage>(result), references, store, stop);
}

}  // namespace mlctr
