// Where an image's parts are written that leave the store: a directory, or a tar of one. Parts whose length or name is
// known only at their end are written all the same in one go.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "squashfs/content_stream.hpp"

namespace mlctr {

class BlobDirectory {
 public:
  virtual ~BlobDirectory() = default;

  /// `write` sends a part's bytes to the sink it is given, and returns the part's path. One that is there already stays.
  virtual void add(const std::function<std::string(const squashfs::ByteSink&)>& write) = 0;
  void add(const std::string& path, std::string_view content);

  /// Replaces a part that is there: an index.
  virtual void replace(const std::string& path, std::string_view content) = 0;

  /// Empty where there is no such part.
  virtual std::string read(const std::string& path) const = 0;

  virtual std::uint64_t written_bytes() const = 0;
  /// Nothing more comes.
  virtual void finish() = 0;
};

/// `directory` is made where it is not there.
std::unique_ptr<BlobDirectory> open_blob_directory(const std::filesystem::path& directory);

/// A tar (ustar) at the beginning of the file `output`, which can be written to anywhere. `name` is for messages.
std::unique_ptr<BlobDirectory> make_blob_tar(int output, std::string name);

}  // namespace mlctr
