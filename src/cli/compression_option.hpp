// --compression, of `push` and `save --format`.
#pragma once

#include <CLI/CLI.hpp>
#include <map>

#include "squashfs/blob_compressor.hpp"

namespace mlctr::cli {

/// `Compression`: a BlobCompression, or an optional one that says whether the option was given.
template <class Compression>
CLI::Option* add_compression_option(CLI::App& command, Compression& compression) {
  static const std::map<std::string, squashfs::BlobCompression> k_names{{"gzip", squashfs::BlobCompression::gzip},
                                                                        {"zstd", squashfs::BlobCompression::zstd}};
  return command
      .add_option_function<std::string>(
          "--compression", [&compression](const std::string& name) { compression = k_names.at(name); },
          "Of layers: gzip, which every tool reads, or zstd, smaller and\nfaster (default: gzip)")
      ->type_name("KIND")
      ->check(CLI::IsMember({"gzip", "zstd"}));
}

}  // namespace mlctr::cli
