#include "runtime/program_files.hpp"

#include <array>
#include <cstring>
#include <exception>
#include <optional>
#include <set>
#include <string_view>

#include "runtime/program_needs.hpp"
#include "squashfs/image_path.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::size_t k_max_files = 32;
// Python and its libraries need some hundred names and as many reads. An image may be made so that there is no end.
constexpr unsigned k_max_names = 8192, k_max_reads = 2048;

// Read at every start: by the base container, which adds the user to them, and by the loader of any dynamic program.
constexpr std::array k_always_read{"/etc/passwd", "/etc/group", "/etc/ld.so.cache"};

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// A program, then its loader, then what they need, as the loader will go about it.
class ProgramLoader {
 public:
  ProgramLoader(const squashfs::Reader& image, ImageData& data, const std::stop_token& stop)
      : image_(image), data_(data), stop_(stop) {}

  void load(const std::vector<std::string>& candidates) {
    for (const char* path : k_always_read) {
      if (const auto file = find(path)) data_.read_program_ahead(file->inode);
    }
    std::optional<squashfs::FoundFile> program = find_first(candidates);
    while (program && is_new(*program)) {
      const ProgramNeeds needs = take(*program);
      if (needs.interpreter.empty()) return;
      const auto interpreter = find(needs.interpreter);
      if (!interpreter) return;
      directories_.assign({directory_of(interpreter->path)});  // libc lies beside its loader on every distribution
      load_libraries(program->path, needs);
      program = interpreter;  // a script's: a program itself
    }
  }

 private:
  std::optional<squashfs::FoundFile> find(const std::string& path) {
    return stop_.stop_requested() ? std::nullopt : squashfs::find_file(image_, path, names_left_);
  }

  std::optional<squashfs::FoundFile> find_first(const std::vector<std::string>& candidates) {
    for (const std::string& path : candidates) {
      if (auto found = find(path)) return found;
    }
    return std::nullopt;
  }

  bool is_new(const squashfs::FoundFile& file) {
    return loaded_.size() < k_max_files && loaded_.insert(file.inode.reference()).second;
  }

  ProgramNeeds take(const squashfs::FoundFile& file) {
    data_.read_program_ahead(file.inode);
    return read_program_needs([&](std::uint64_t offset, std::span<std::byte> into) {
      if (reads_left_ == 0 || stop_.stop_requested()) return std::size_t{0};
      --reads_left_;
      std::size_t done = 0;
      for (const DataPiece& piece : data_.read(file.inode, offset, into.size())) {
        std::memcpy(into.data() + done, piece.bytes.data(), piece.bytes.size());
        done += piece.bytes.size();
      }
      return done;
    });
  }

  void load_libraries(const std::string& path, const ProgramNeeds& needs) {
    const std::string origin = directory_of(path);
    for (const std::string& library : needs.libraries) {
      const auto found = find_first(library_paths(library, origin, needs.run_paths));
      if (found && is_new(*found)) load_libraries(found->path, take(*found));
    }
  }

  std::vector<std::string> library_paths(const std::string& library, const std::string& origin,
                                         const std::vector<std::string>& run_paths) const {
    if (library.starts_with('/')) return {library};
    std::vector<std::string> paths;
    for (std::string directory : run_paths) {
      constexpr std::string_view k_origin = "$ORIGIN";
      if (directory.starts_with(k_origin)) directory.replace(0, k_origin.size(), origin);
      paths.push_back(directory + "/" + library);
    }
    for (const std::string& directory : directories_) paths.push_back(directory + "/" + library);
    for (const char* directory : {"/usr/local/lib", "/usr/lib", "/lib"}) {
      paths.push_back(std::string(directory) + "/" + library);
    }
    return paths;
  }

  const squashfs::Reader& image_;
  ImageData& data_;
  const std::stop_token& stop_;
  unsigned names_left_ = k_max_names, reads_left_ = k_max_reads;
  std::set<std::uint64_t> loaded_;
  std::vector<std::string> directories_;
};

}  // namespace

void load_program(const squashfs::Reader& image, ImageData& data, const std::vector<std::string>& candidates,
                  const std::stop_token& stop) noexcept {
  try {
    ProgramLoader(image, data, stop).load(candidates);
  } catch (const std::exception&) {
    // See the header.
  }
}

}  // namespace mlctr::runtime
