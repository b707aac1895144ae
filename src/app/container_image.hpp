// A named container as an image: its base and its changes in one squashfs file (DESIGN decisions 2 and 6).
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/run_target.hpp"
#include "base/progress.hpp"
#include "squashfs/merge.hpp"
#include "store/container_store.hpp"

namespace mlctr {

/// refuse: a container in use is an Error, and so is one that is started meanwhile. take_as_is: files may be caught
/// halfway.
enum class RunningContainers { refuse, take_as_is };

/// From here on the calling process (single-threaded: call it first) may read all files of its user, whatever their
/// modes: programs take their own files' permissions away (/etc/shadow is 0000 on some systems) and would find them
/// there all the same, being root. Does nothing where that is not possible here.
void read_files_as_owner();

/// Calls `read` with the container's image while nothing changes its upper directory: what refuses (or, started
/// meanwhile, spoils) that is an Error, which names the container.
void read_container(const Configuration& configuration, const StoredContainer& container, RunningContainers running,
                    const std::function<void(const BaseImage&)>& read);

/// Its changes, without what a driver of the host's has left in a container that runs.
squashfs::UpperDirectory changes_of(const StoredContainer& container);

squashfs::PackOptions pack_options(const Configuration& configuration);

/// Whose commit an image is; empty where that is not to be told (a saved file is the same whoever saves it).
struct CommitMaker {
  std::string user{};     ///< a name
  std::string created{};  ///< RFC 3339
};

/// What an image made from the container says of it in /.mlctr: provenance.json, and base/{manifest,config}.json.
std::vector<squashfs::AddedFile> container_provenance(const ContainerRecord& record, const BaseImage& image,
                                                      const CommitMaker& maker);

/// Writes the image that the container shows to `output` (empty, read-write), without syncing it. The same container
/// gives the same bytes. In it, /.mlctr has
///   config.json         the base's, without diff_ids and history, which told of its layers
///   provenance.json     {reference, manifest_digest: the base's; container; base: the base's own provenance;
///                       mlctr_version}
///   base/{manifest,config}.json   of the image in a registry that it all began with, where there was one
/// Throws Error that names the container.
void write_container_image(const Configuration& configuration, const StoredContainer& container,
                           RunningContainers running, int output, ProgressBoard& board, std::stop_token stop);

}  // namespace mlctr
