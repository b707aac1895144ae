// Converts layers side by side, as a pull does, and says how long it took and how much memory the process had at most.
//   convert_layer_bench THREADS OUTPUT_PREFIX (LAYER DIFF_ID_HEX)...
// Compare with: for each layer, igzip -dc LAYER | tar2sqfs -c zstd -X level=1 -j THREADS -f OUTPUT
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"
#include "squashfs/convert_layer.hpp"

namespace {

using namespace mlctr;

class FileSource final : public ByteSource {
 public:
  explicit FileSource(std::string path) : path_(std::move(path)), fd_(open_file(path_, O_RDONLY)) {}
  std::size_t read(std::span<std::byte> into) override {
    const std::size_t got = read_at(fd_.get(), into, offset_, path_);
    offset_ += got;
    return got;
  }

 private:
  std::string path_;
  Fd fd_;
  std::uint64_t offset_ = 0;
};

struct Layer {
  std::string path, diff_id, output;
  std::string digest{};
  std::uint64_t bytes = 0;
};

void hash_blob(Layer& layer) {
  FileSource source(layer.path);
  Hasher hasher;
  std::vector<std::byte> buffer(1u << 20);
  while (const std::size_t got = source.read(buffer)) {
    hasher.update(std::span(buffer).first(got));
    layer.bytes += got;
  }
  layer.digest = hasher.finish_hex();
}

void convert(const Layer& layer, squashfs::CompressorPool& pool) {
  FileSource source(layer.path);
  const Fd output = open_file(layer.output, O_RDWR | O_CREAT | O_TRUNC);
  const squashfs::LayerInput input{source, Digest::from_hex(HashAlgorithm::sha256, layer.digest), layer.bytes,
                                   Digest::from_hex(HashAlgorithm::sha256, layer.diff_id)};
  squashfs::convert_layer(input, output.get(), pool, {}, {}, nullptr);
}

void run(const std::vector<std::string>& arguments) {
  std::vector<Layer> layers;
  for (std::size_t i = 2; i + 1 < arguments.size(); i += 2) {
    layers.push_back({.path = arguments[i],
                      .diff_id = arguments[i + 1],
                      .output = fmt::format("{}{}.sqsh", arguments[1], layers.size())});
    hash_blob(layers.back());
  }
  const auto begin = std::chrono::steady_clock::now();
  squashfs::CompressorPool pool(static_cast<unsigned>(std::stoul(arguments[0])), 1);
  std::vector<std::exception_ptr> failures(layers.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          convert(layers[i], pool);
        } catch (...) {
          failures[i] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} layers, {:.2f} s, peak {} MiB\n", layers.size(), took.count(), usage.ru_maxrss >> 10);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: convert_layer_bench THREADS OUTPUT_PREFIX (LAYER DIFF_ID_HEX)...\n");
    return 2;
  }
  try {
    run({argv + 1, argv + argc});
  } catch (const mlctr::Error& error) {
    fmt::print(stderr, "{}\n", error.message());
    return 1;
  }
}
