#include "squashfs/lzo.hpp"

#include <cstring>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

[[noreturn]] void throw_broken_lzo() {
  throw Error("a block of it is broken (lzo)");
}

class LzoDecoder {
 public:
  LzoDecoder(std::span<const std::byte> in, std::span<std::byte> out) : in_(in), out_(out) {}

  std::size_t decode() {
    start();
    while (!at_end_) instruction(byte());
    if (in_at_ != in_.size()) throw_broken_lzo();
    return out_at_;
  }

 private:
  // What the last instruction left decides what an opcode below 16 means.
  enum class State { no_literals = 0, one = 1, two = 2, three = 3, long_run = 4 };

  unsigned byte() {
    if (in_at_ >= in_.size()) throw_broken_lzo();
    return std::to_integer<unsigned>(in_[in_at_++]);
  }

  // A length whose bits are all 0 goes on in bytes: each 0 is 255 more, the first other one ends it.
  std::size_t length(unsigned bits, unsigned mask) {
    if (bits != 0) return bits;
    std::size_t value = mask;
    unsigned next;
    while ((next = byte()) == 0) value += 255;
    return value + next;
  }

  void literals(std::size_t count) {
    if (count > in_.size() - in_at_ || count > out_.size() - out_at_) throw_broken_lzo();
    std::memcpy(out_.data() + out_at_, in_.data() + in_at_, count);
    in_at_ += count;
    out_at_ += count;
  }

  void match(std::size_t count, std::size_t distance) {
    if (distance > out_at_ || count > out_.size() - out_at_) throw_broken_lzo();
    // Byte by byte: a match may overlap what it makes.
    for (std::size_t i = 0; i < count; ++i, ++out_at_) out_[out_at_] = out_[out_at_ - distance];
  }

  // The low two bits of a match say how many literals follow it.
  void match_then_literals(std::size_t count, std::size_t distance, unsigned trailing) {
    match(count, distance);
    literals(trailing);
    state_ = static_cast<State>(trailing);
  }

  // The first byte is an instruction only below 18.
  void start() {
    if (in_.empty() || std::to_integer<unsigned>(in_[0]) <= 17) return;
    const unsigned count = byte() - 17;
    literals(count);
    state_ = count < 4 ? static_cast<State>(count) : State::long_run;
  }

  void instruction(unsigned op) {
    if (op >= 64) return near_match(op);
    if (op >= 32) return middle_match(op);
    if (op >= 16) return far_match(op);
    if (state_ == State::no_literals) {
      literals(length(op, 15) + 3);
      state_ = State::long_run;
      return;
    }
    const std::size_t base = (op >> 2) + (static_cast<std::size_t>(byte()) << 2);
    const bool after_run = state_ == State::long_run;
    match_then_literals(after_run ? 3 : 2, base + (after_run ? 2049 : 1), op & 3);
  }

  void near_match(unsigned op) {
    const std::size_t count = op >= 128 ? 5 + ((op >> 5) & 3) : 3 + ((op >> 5) & 1);
    const std::size_t distance = (static_cast<std::size_t>(byte()) << 3) + ((op >> 2) & 7) + 1;
    match_then_literals(count, distance, op & 3);
  }

  void middle_match(unsigned op) {
    const std::size_t count = length(op & 31, 31) + 2;
    const unsigned low = byte();
    const std::size_t distance = (static_cast<std::size_t>(byte()) << 6) + (low >> 2) + 1;
    match_then_literals(count, distance, low & 3);
  }

  void far_match(unsigned op) {
    const std::size_t count = length(op & 7, 7) + 2;
    const unsigned low = byte();
    const std::size_t distance = 16384 + ((op & 8u) << 11) + (static_cast<std::size_t>(byte()) << 6) + (low >> 2);
    if (distance == 16384) {
      at_end_ = true;
      return;
    }
    match_then_literals(count, distance, low & 3);
  }

  std::span<const std::byte> in_;
  std::span<std::byte> out_;
  std::size_t in_at_ = 0;
  std::size_t out_at_ = 0;
  State state_ = State::no_literals;
  bool at_end_ = false;
};

}  // namespace

std::size_t decompress_lzo(std::span<const std::byte> stored, std::span<std::byte> into) {
  return LzoDecoder(stored, into).decode();
}

}  // namespace mlctr::squashfs
