// A layer blob of any bytes, converted under its own digest: whatever it holds, the result is a layer file that reads
// back as a tree, or an Error; never a crash, a hang or much memory.
//
// The first byte chooses how the source cuts the blob and whether tar headers get right checksums, which no mutation
// would keep; the rest is the blob (gzip, zstd or plain).
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "squashfs/convert_layer.hpp"
#include "squashfs/inflate.hpp"
#include "squashfs/tables.hpp"

namespace {

using namespace mlctr;

constexpr squashfs::LayerLimits k_limits{.max_uncompressed_bytes = 4u << 20, .max_entries = 2000};

class Source final : public ByteSource {
 public:
  Source(std::string_view blob, std::size_t piece_bytes) : blob_(blob), piece_bytes_(piece_bytes) {}
  std::size_t read(std::span<std::byte> into) override {
    const std::size_t size = std::min({into.size(), piece_bytes_, blob_.size()});
    std::memcpy(into.data(), blob_.data(), size);
    blob_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view blob_;
  std::size_t piece_bytes_;
};

// The diff_id a truthful manifest would give, as far as the limits let the stream go.
Digest diff_id_of(std::string_view blob) {
  Hasher hasher;
  std::string room(1u << 16, '\0');
  std::uint64_t total = 0;
  try {
    auto input = std::as_bytes(std::span(blob));
    const auto inflater = squashfs::Inflater::for_stream(input.first(std::min<std::size_t>(4, input.size())));
    for (;;) {
      const auto step = inflater->run(input, std::as_writable_bytes(std::span(room)));
      hasher.update(std::string_view(room).substr(0, step.produced));
      input = input.subspan(step.consumed);
      total += step.produced;
      if (step.produced < room.size() || total > k_limits.max_uncompressed_bytes) break;
    }
  } catch (const Error&) {
    // The conversion will say the same.
  }
  return Digest::from_hex(HashAlgorithm::sha256, hasher.finish_hex());
}

void mend_checksums(std::string& tar) {
  for (std::size_t at = 0; at + 512 <= tar.size(); at += 512) {
    if (tar.compare(at + 257, 5, "ustar") != 0) continue;
    tar.replace(at + 148, 8, 8, ' ');
    unsigned sum = 0;
    for (std::size_t i = at; i < at + 512; ++i) sum += static_cast<unsigned char>(tar[i]);
    for (std::size_t i = 6; i > 0; --i, sum /= 8) tar[at + 147 + i] = static_cast<char>('0' + sum % 8);
  }
}

// Kept from run to run: making threads for every input would be all that is measured.
squashfs::CompressorPool& pool() {
  static squashfs::CompressorPool shared(2, 1);
  return shared;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string blob(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] >= 128) mend_checksums(blob);
  Source source(blob, std::size_t{1} << (data[0] % 20));
  const Fd output(::memfd_create("layer", MFD_CLOEXEC));
  try {
    squashfs::convert_layer({source, Digest::of(blob), blob.size(), diff_id_of(blob)}, output.get(), pool(), k_limits,
                            {}, nullptr);
  } catch (const Error&) {
    return 0;
  }
  squashfs::read_tree(output.get(), "the layer just made");
  return 0;
}
