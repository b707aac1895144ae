// Layer files -> an image in the store, with its provenance inside.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "app/resolve_image.hpp"
#include "base/progress.hpp"
#include "squashfs/merge.hpp"
#include "store/store.hpp"

namespace mlctr {

/// What every image carries in /.mlctr, so that a lone file can be run, inspected and traced: manifest.json and
/// config.json as the registry had them, provenance.json {reference, manifest_digest, layers, mlctr_version}. No host
/// state, no time of pull: the same image under the same reference is the same bytes everywhere.
std::vector<squashfs::AddedFile> provenance_files(const ResolvedImage& image, const std::string& reference);

/// Merges and publishes. Hold the image's lock.
void assemble_image(const ResolvedImage& image, const std::string& reference,
                    const std::vector<std::filesystem::path>& layers, Store& store, ProgressBoard& board,
                    std::stop_token stop);

}  // namespace mlctr
