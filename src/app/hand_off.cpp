#include "app/hand_off.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/remap_filter.hpp"
#include "spank/hand_off.h"

namespace mlctr {
namespace {

void add(std::string& records, mlctr_hand_off_kind kind, std::string_view bytes) {
  const mlctr_hand_off_record record{.kind = kind, .length = static_cast<std::uint32_t>(bytes.size())};
  char header[sizeof record];
  std::memcpy(header, &record, sizeof record);
  records.append(header, sizeof header).append(bytes);
}

std::string encode(const StepEntry& entry, const runtime::Identity& identity) {
  const runtime::Program& program = entry.program;
  std::string records;
  for (const std::string& variable : program.environment) add(records, MLCTR_HAND_OFF_VARIABLE, variable);
  for (const std::string& directory : program.directories) add(records, MLCTR_HAND_OFF_DIRECTORY, directory);
  add(records, MLCTR_HAND_OFF_FILTER, runtime::compile_filter(program.remap));
  if (program.remap != entry.container_remap) {
    add(records, MLCTR_HAND_OFF_IDENTITY, fmt::format("{} {}", identity.uid, identity.gid));
  }
  if (records.size() > MLCTR_HAND_OFF_MAX_BYTES) throw Error("the task's environment is too large");
  return records;
}

// Nobody changes it between the plugin's look and its use.
Fd seal(const std::string& records) {
  Fd file(::memfd_create("mlctr-hand-off", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) throw SysError("cannot make a memory file");
  write_all_at(file.get(), std::as_bytes(std::span(records)), 0, "the hand-off");
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    throw SysError("cannot seal a memory file");
  }
  return file;
}

}  // namespace

void hand_off(const Fd& socket, const StepEntry& entry, const runtime::Host& host) {
  const runtime::Identity identity = runtime::identity_of(host.uid, host.gid, entry.program.remap);
  const Fd records = seal(encode(entry, identity));
  std::vector<int> fds{records.get()};
  for (const Fd& space : entry.container.fds) fds.push_back(space.get());
  runtime::send_message(socket,
                        fmt::format("{} {} {} {} {}", MLCTR_HAND_OFF_VERSION, fds.size() - 1, identity.uid,
                                    identity.gid, static_cast<int>(MLCTR_HAND_OFF_KNOWN_FLAGS)),
                        fds);
}

}  // namespace mlctr
