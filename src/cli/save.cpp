// mlctr save
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "app/commit_container.hpp"
#include "app/save_archive.hpp"
#include "app/save_container.hpp"
#include "base/overloaded.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/commands.hpp"
#include "cli/compression_option.hpp"
#include "cli/figures.hpp"
#include "cli/image_output.hpp"
#include "cli/output.hpp"
#include "cli/progress_display.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct SaveOptions {
  std::string container;
  std::shared_ptr<ImageOutput> output = std::make_shared<ImageOutput>();
  RunningContainers running = RunningContainers::refuse;
  std::string format;
  squashfs::BlobCompression compression = squashfs::BlobCompression::gzip;
  LayerRewrite rewrite = LayerRewrite::refuse;
  Verbosity verbosity = Verbosity::normal;
};

ArchiveFormat format_of(const std::string& name) {
  if (name == "docker-archive") return ArchiveFormat::docker_archive;
  return name == "oci" ? ArchiveFormat::oci_directory : ArchiveFormat::oci_archive;
}

// By --format, or by what stands before the file's name, as `pull` takes it. Absent: a squashfs file is wanted.
std::optional<ArchiveRequest> archive_request(const SaveOptions& options) {
  ArchiveRequest request{.image = options.container,
                         .overwrite = options.output->overwrite,
                         .compression = options.compression,
                         .rewrite = options.rewrite};
  const std::string& file = options.output->file;
  const auto take = [&](ArchiveFormat format, const auto& source) {
    request.format = format;
    request.destination = source.path;
    request.name = source.tag;
    return request;
  };
  if (file.starts_with("oci:") || file.starts_with("oci-archive:") || file.starts_with("docker-archive:")) {
    using Request = std::optional<ArchiveRequest>;
    return std::visit(
        Overloaded{[&](const OciLayoutSource& to) -> Request { return take(ArchiveFormat::oci_directory, to); },
                   [&](const OciArchiveSource& to) -> Request { return take(ArchiveFormat::oci_archive, to); },
                   [&](const DockerArchiveSource& to) -> Request { return take(ArchiveFormat::docker_archive, to); },
                   [](const auto&) -> Request { return std::nullopt; }},
        parse_image_source(file));
  }
  if (options.format.empty()) return std::nullopt;
  if (options.output->is_piped()) {
    throw UsageError("an archive can't go to standard output: it is not written from its beginning to its end",
                     "name a file for it");
  }
  request.format = format_of(options.format);
  request.destination = file;
  return request;
}

// A container becomes an image of the store first, which nothing leads to: gc takes it.
std::uint64_t archive_as_asked(const SaveOptions& options, ArchiveRequest request, const Configuration& configuration,
                               std::stop_token stop) {
  ProgressBoard board;
  const ProgressDisplay display(board,
                                {.action = "save " + printable(options.container), .verbosity = options.verbosity});
  if (is_container_name(options.container) && open_containers(configuration).has(options.container)) {
    const CommitRequest commit{.container = options.container, .reference = {}, .running = options.running};
    request.image = commit_container(configuration, commit, board, stop).digest.to_string();
    if (request.name.empty()) request.name = options.container + ":latest";
  }
  return save_archive(configuration, request, board, std::move(stop));
}

// Returns how many bytes the image has.
std::uint64_t save_as_asked(const SaveOptions& options, const Configuration& configuration, std::stop_token stop) {
  ProgressBoard board;
  const ProgressDisplay display(board,
                                {.action = "save " + printable(options.container), .verbosity = options.verbosity});
  if (options.output->is_piped()) {
    const UnnamedFile file = save_unnamed(configuration, options.container, options.running, board, stop);
    return print_image(fmt::format("/proc/self/fd/{}", file.fd()), std::move(stop));
  }
  const SaveRequest request{.container = options.container,
                            .destination = options.output->file,
                            .overwrite = options.output->overwrite,
                            .running = options.running};
  return save_container(configuration, request, board, std::move(stop));
}

// The words before the file with which mlctr takes it.
std::string_view use_of(const SaveOptions& options) {
  const std::optional<ArchiveRequest> archive = archive_request(options);
  if (!archive) return "run ";
  if (options.output->file != archive->destination) return "pull ";  // its format is in front of it
  switch (archive->format) {
    case ArchiveFormat::oci_directory:
      return "pull oci:";
    case ArchiveFormat::oci_archive:
      return "pull oci-archive:";
    case ArchiveFormat::docker_archive:
      break;
  }
  return "pull docker-archive:";
}

void tell(const SaveOptions& options, std::uint64_t bytes, std::chrono::duration<double> took) {
  if (options.output->format == Format::json) {
    print_json(
        {{"container", options.container}, {"file", options.output->file}, {"size", bytes}, {"seconds", took.count()}});
  } else if (options.verbosity == Verbosity::normal) {
    const std::string place =
        options.output->is_piped() ? "written to standard output" : "saved in " + options.output->file;
    const std::string next =
        options.output->is_piped()
            ? ""
            : fmt::format(". Try: mlctr {}{}", use_of(options), printable(shell_word(options.output->file), 4096));
    say(fmt::format("{} is {} ({}, {}){}", printable(options.container), printable(place, 4096), format_bytes(bytes),
                    format_duration(took), next));
  }
}

int save(const SaveOptions& options) {
  const std::optional<ArchiveRequest> archive = archive_request(options);
  check_image_output(*options.output, fmt::format("mlctr save {}", shell_word(options.container)));
  const auto started = std::chrono::steady_clock::now();
  const Configuration configuration = load_configuration();
  read_files_as_owner();
  std::uint64_t bytes = 0;
  const auto work = [&](std::stop_token stop) {
    bytes = archive ? archive_as_asked(options, *archive, configuration, std::move(stop))
                    : save_as_asked(options, configuration, std::move(stop));
  };
  run_stoppable(work, options.output->what_is_left());
  tell(options, bytes, std::chrono::steady_clock::now() - started);
  return 0;
}

}  // namespace

void add_save(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<SaveOptions>();
  CLI::App* command = program.add_subcommand("save", "Write a container, changes included, or an image as a file");
  command->group(k_containers_group);
  command->add_option("NAME", options->container, "The container; with --format an image of the store, too")
      ->type_name("")
      ->required();
  add_image_output(*command, options->output);
  command
      ->add_option(
          "--format", options->format,
          "For other tools: \"oci-archive\", \"docker-archive\", or \"oci\", a\ndirectory (default: a squashfs "
          "file)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"oci-archive", "docker-archive", "oci"}));
  add_compression_option(*command, options->compression);
  command->add_flag_callback(
      "--rewrite-layers", [options] { options->rewrite = LayerRewrite::allow; },
      "Layers whose tar is not known any more get a new digest");
  command->add_flag_callback(
      "--live", [options] { options->running = RunningContainers::take_as_is; },
      "Even while programs run in it: their files as they are at the moment");
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; }, "Only errors");
  command->footer(
      "Examples:\n"
      "  mlctr save py38 py38.sqsh\n"
      "  mlctr run ./py38.sqsh python train.py\n"
      "  mlctr save --format docker-archive py38 py38.tar     for docker load\n"
      "  mlctr save python:3.8 oci:layout\n"
      "Of the image it was made from everything is copied as it is; only changed files are compressed. A changed file\n"
      "keeps the owner it has in that image, a new one belongs to root. The same container gives the same bytes. The\n"
      "file appears whole or not at all.\n"
      "--json: container, file, size (bytes), seconds\n");
  command->final_callback([options, &chosen] { chosen = [options] { return save(*options); }; });
}

}  // namespace mlctr::cli
