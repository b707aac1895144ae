// How a step's holder lets tasks into the container that come without a process of mlctr's (spank/hand_off.h): what
// such a process would look up on the host is looked up before the holder goes inside.
#pragma once

#include <functional>
#include <string>

#include "app/join_step.hpp"
#include "app/torch_variables.hpp"
#include "base/fd.hpp"
#include "runtime/host.hpp"

namespace mlctr {

class StepEntrance {
 public:
  /// The first task's request and host.
  StepEntrance(StepRequest request, runtime::Host host);

  /// A descriptor of the directory of the containers' sockets.
  int sockets() const noexcept { return sockets_.get(); }

  /// Takes a connection and a file with the task's environment, and answers. Throws where the task needs a process of
  /// its own, which tells what is the matter.
  std::function<void(const Fd& client, const Fd& environment)> to(std::string socket) &&;

 private:
  void let_in(const std::string& socket, const Fd& client, const Fd& environment) const;

  StepRequest request_;
  runtime::Host host_;
  OutgoingPorts ports_;
  Fd sockets_;
};

}  // namespace mlctr
