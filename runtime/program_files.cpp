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

// Read at every start: by the base container, which adds the user to them, and by the loader of any dynamic program.
constexpr std::array k_always_read{"/etc/passwd", "/etc/group", "/etc/ld.so.cache"};

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// A program, then its loader, then what they need, as the loader will go about it.
class ProgramLoader {
 public:
  ProgramLoader(const squashfs::Reader& image, ImageData& data) : image_(image), data_(data) {}

  void load(const std::vector<std::string>& candidates) {
    for (const char* path : k_always_read) {
      if (const auto file = squashfs::find_file(image_, path)) data_.read_program_ahead(file->inode);
    }
    std::optional<squashfs::FoundFile> program = find_first(candidates);
    while (program && is_new(*program)) {
      const ProgramNeeds needs = take(*program);
      if (needs.interpreter.empty()) return;
      const auto interpreter = squashfs::find_file(image_, needs.interpreter);
      if (!interpreter) return;
      directories_.assign({directory_of(interpreter->path)});  // libc lies beside its loader on every distribution
      load_libraries(program->path, needs);
      program = interpreter;  // a script's: a program itself
    }
  }

 private:
  std::optional<squashfs::FoundFile> find_first(const std::vector<std::string>& candidates) const {
    for (const std::string& path : candidates) {
      if (auto found = squashfs::find_file(image_, path)) return found;
    }
    return std::nullopt;
  }

  bool is_new(const squashfs::FoundFile& file) {
    return loaded_.size() < k_max_files && loaded_.insert(file.inode.reference()).second;
  }

  ProgramNeeds take(const squashfs::FoundFile& file) {
    data_.read_program_ahead(file.inode);
    return read_program_needs([&](std::uint64_t offset, std::span<std::byte> into) {
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
  std::set<std::uint64_t> loaded_;
  std::vector<std::string> directories_;
};

}  // namespace

void load_program(const squashfs::Reader& image, ImageData& data, const std::vector<std::string>& candidates) noexcept {
  try {
    ProgramLoader(image, data).load(candidates);
  } catch (const std::exception&) {
    // See the header.
  }
}

}  // namespace mlctr::runtime
