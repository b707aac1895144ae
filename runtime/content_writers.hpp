// Threads that fill new files with what an image has for them.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "runtime/image_data.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::runtime {

/// A file that is empty so far, and how it is to be in the end.
struct NewFile {
  Fd fd;
  squashfs::MetadataPosition inode;
  squashfs::StoredFile content;
  mode_t mode = 0644;
  timespec mtime{};
  std::string path;  ///< for messages
};

class ContentWriters {
 public:
  /// Borrows the reader.
  ContentWriters(const squashfs::Reader& image, unsigned threads);
  /// Files not yet begun are dropped.
  ~ContentWriters();
  ContentWriters(const ContentWriters&) = delete;
  ContentWriters& operator=(const ContentWriters&) = delete;

  /// Waits while many are waiting to be written: each holds a descriptor. Throws what went wrong with an earlier file.
  void add(NewFile file);
  /// Waits for all. Throws what went wrong with one.
  void finish();

 private:
  void work() noexcept;
  void write(const NewFile& file);
  void write_blocks(const NewFile& file);
  void write_tail(const NewFile& file);

  const squashfs::Reader& image_;
  ImageData data_;  // for the tails, many of which share a block
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<NewFile> waiting_;
  unsigned at_work_ = 0;
  bool is_ending_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace mlctr::runtime
