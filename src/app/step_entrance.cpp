#include "app/step_entrance.hpp"

#include <fcntl.h>

#include <memory>
#include <utility>
#include <vector>

#include "app/hand_off.hpp"
#include "app/runtime_directory.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/nul_separated.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/message.hpp"

namespace mlctr {
namespace {

std::vector<std::string> read_environment(const Fd& file) {
  const std::uint64_t size_bytes = file_size(file.get(), "a task's environment");
  if (size_bytes > runtime::k_max_message_bytes) throw Error("a task's environment is too large");
  std::string text(size_bytes, '\0');
  read_at(file.get(), std::as_writable_bytes(std::span(text)), 0, "a task's environment");
  return split_at_nul(text);
}

}  // namespace

StepEntrance::StepEntrance(StepRequest request, runtime::Host host)
    : request_(std::move(request)),
      host_(std::move(host)),
      ports_(outgoing_ports()),
      sockets_(open_file(open_runtime_directory().sockets, O_PATH | O_DIRECTORY)) {}

std::function<void(const Fd& client, const Fd& environment)> StepEntrance::to(std::string socket) && {
  return [self = std::make_shared<const StepEntrance>(std::move(*this)), socket = std::move(socket)](
             const Fd& client, const Fd& environment) { self->let_in(socket, client, environment); };
}

void StepEntrance::let_in(const std::string& socket, const Fd& client, const Fd& environment) const {
  runtime::Host host = host_;
  host.environment = read_environment(environment);
  const StepRequest request = request_.of_task(host);
  auto answer = runtime::ask_container(sockets_, socket, runtime::k_join);
  if (!answer || answer->fds.empty()) throw Error("the server of the step's container was killed");
  hand_off(client, entry_of(request, std::move(*answer), host, ports_), host);
}

}  // namespace mlctr
