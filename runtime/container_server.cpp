#include "runtime/container_server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/error.hpp"
#include "base/soft_limits.hpp"
#include "base/thread.hpp"
#include "runtime/background.hpp"
#include "runtime/container_members.hpp"
#include "runtime/fuse_mount.hpp"
#include "runtime/process_table.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::string_view k_door_is_open = "open", k_watch = "watch", k_keep = "keep";
constexpr std::chrono::seconds k_patience_with_maker{1};  // it may be a supervisor, who outlives us

struct Maker {
  pid_t pid = 0;
  Fd process;
};

class Server {
 public:
  Server(ServerSetup setup, Fd control, Maker maker)
      : setup_(std::move(setup)),
        control_(std::move(control)),
        maker_(std::move(maker)),
        session_ended_(::eventfd(0, EFD_CLOEXEC)) {
    if (!session_ended_) throw SysError("cannot make an eventfd");
  }

  // Until the container has been, and is gone; or its maker died before it was. The thread that is here already serves
  // the first image: its maker waits for the first answer, and a new thread for a processor perhaps.
  void run() {
    loop();
    if (auto first = std::exchange(first_, std::nullopt)) {
      const std::jthread door = start_thread("let others into the container", [this] { loop(); });
      serve_session(std::move(*first));
    }
    kept_.clear();
    // A maker that was killed closes our connection before, perhaps, what at_end looks at.
    if (!members_) wait_for_end(maker_.process, k_patience_with_maker);
    if (setup_.at_end) setup_.at_end();
    setup_.socket.remove();
  }

 private:
  struct Session {
    std::size_t image;
    Fd fuse;
  };

  // Returns as well when the first session is to be served.
  void loop() {
    while ((control_ || sessions_ > 0) && !first_) {
      std::array<pollfd, 4> wanted{{{control_.get(), POLLIN, 0},
                                    {session_ended_.get(), POLLIN, 0},
                                    {setup_.socket.fd(), POLLIN, 0},
                                    {watch_.get(), POLLIN, 0}}};
      if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;  // EINTR
      if (wanted[0].revents != 0) hear_maker();
      if (wanted[1].revents != 0) count_ended();
      if (wanted[2].revents != 0) answer();
      if (wanted[3].revents != 0) {
        watch_.reset();
        --sessions_;
      }
    }
  }

  void hear_maker() {
    auto message = receive_message(control_);
    if (!message) {
      control_.reset();
      if (!is_open_) give_up();
    } else if (message->text == k_door_is_open) {
      is_open_ = true;
      for (const auto& [client, request] : std::exchange(waiting_, {})) try_reply(client, request);
    } else if (message->text == k_watch && !watch_ && message->fds.size() == 1) {
      if (!members_) members_.emplace(message->sender);
      watch_ = std::move(message->fds[0]);
      ++sessions_;
    } else if (message->text == k_keep) {
      for (Fd& fd : message->fds) kept_.push_back(std::move(fd));
    } else if (message->text.starts_with('{')) {
      auto description = nlohmann::json::parse(setup_.description);
      description.update(nlohmann::json::parse(message->text));
      setup_.description = description.dump();
    } else {
      serve(std::move(*message));
    }
  }

  // The maker failed, or was killed: what its hooks left running would keep alive a container that was never whole.
  void give_up() {
    if (members_) members_->kill_all_but(maker_.pid);  // itself it may have an error to tell
    waiting_.clear();                                  // they see the end of their connection
  }

  void serve(Message message) {
    std::size_t number = 0;
    std::from_chars(message.text.data(), message.text.data() + message.text.size(), number);
    if (number >= setup_.images.size() || message.fds.size() != 1) return;
    if (!members_) members_.emplace(message.sender);
    ++sessions_;
    Session session{number, std::move(message.fds[0])};
    if (!std::exchange(has_first_, true)) {
      first_ = std::move(session);
    } else {
      std::thread([this, session = std::move(session)]() mutable { serve_session(std::move(session)); }).detach();
    }
  }

  void serve_session(Session session) {
    try {
      ImageServerOptions options = setup_.options;
      if (session.image != 0) options.programs.clear();  // no rootfs
      const bool is_layer = session.image >= setup_.first_layer && session.image < setup_.end_of_layers;
      if (is_layer) {
        options.marks = OverlayMarks::shown;
        options.cached_data_bytes /= 4;  // there may be many
      }
      serve_image(std::move(session.fuse), *setup_.images[session.image], options);
    } catch (const std::exception&) {
      // Closing the descriptor has told whoever reads there: nobody is left to tell more.
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(session_ended_.get(), &one, sizeof one);
  }

  void count_ended() {
    std::uint64_t ended = 0;
    if (::read(session_ended_.get(), &ended, sizeof ended) == sizeof ended) sessions_ -= static_cast<long>(ended);
  }

  void answer() {
    Fd client(::accept4(setup_.socket.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    const timeval patience{.tv_sec = 1, .tv_usec = 0};  // a client that says nothing must not stop the others
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    try {
      auto request = receive_message(client);
      if (!request || (request->sender_uid != ::getuid() && request->sender_uid != 0)) return;
      if (request->text == k_join && !is_open_) {
        if (control_) waiting_.emplace_back(std::move(client), std::move(*request));  // else it never will be
      } else {
        try_reply(client, *request);
      }
    } catch (const Error&) {
      // The client went away; its own error is its to tell.
    }
  }

  void try_reply(const Fd& client, const Message& request) {
    try {
      reply(client, request);
    } catch (const Error&) {
      // As above.
    }
  }

  void reply(const Fd& client, const Message& request) {
    nlohmann::json answer = nlohmann::json::parse(setup_.description);
    std::vector<Fd> namespaces;
    if (members_) answer["mount_namespace"] = members_->mount_namespace();
    if (request.text != k_join) {
      answer["first_has_ended"] = members_ && !members_->has_founder();
      answer["pids"] = members_ ? members_->pids() : std::vector<pid_t>{};
    } else if (members_) {
      ContainerMembers::Namespaces found = members_->namespaces();
      answer["namespaces"] = found.names;
      namespaces = std::move(found.fds);
      members_->add(request.sender);
    }
    std::vector<int> fds;
    for (const Fd& fd : namespaces) fds.push_back(fd.get());
    send_message(client, answer.dump(), fds);
  }

  ServerSetup setup_;
  Fd control_;
  Maker maker_;
  Fd session_ended_;  // an eventfd: how many sessions ended since it was read
  long sessions_ = 0;
  std::optional<Session> first_;
  bool has_first_ = false;
  Fd watch_;  // readable when the container is gone; counts as a session
  std::vector<Fd> kept_;
  std::optional<ContainerMembers> members_;
  bool is_open_ = false;
  std::vector<std::pair<Fd, Message>> waiting_;  // who asked to join before that
};

[[noreturn]] void run_server(ServerSetup setup, Fd control, Maker maker) {
  try {
    leave_session("mlctr-server");
    ignore_signals();
    for (const int fd : setup.not_inherited) ::close(fd);
    close_inherited_descriptors();
    silence();
    setup.socket.serve_from_here();
    Server(std::move(setup), std::move(control), std::move(maker)).run();
  } catch (const std::exception&) {
    // No terminal is left; the container's maker sees its end of the socket closed.
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

ContainerServer ContainerServer::start(ServerSetup setup) try {
  auto [ours, servers] = socket_pair();
  Maker maker{::getpid(), open_process(::getpid())};
  const pid_t child = ::fork();
  if (child < 0) throw fork_error("cannot start the container's server", errno);
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
    ours.reset();
    run_server(std::move(setup), std::move(servers), std::move(maker));
  }
  if (reap(child) != 0) throw fork_error("cannot start the container's server", EAGAIN);
  return ContainerServer(std::move(ours));
} catch (...) {
  setup.socket.remove();  // no server will
  throw;
}

Fd ContainerServer::mount_image(std::size_t number, const Identity& identity) const {
  FuseMount made = new_fuse_mount(identity, FuseAccess::read_only);
  send_message(socket_, fmt::format("{}", number), {made.device.get()});
  return std::move(made.mount);
}

void ContainerServer::hold(const Fd& scratch, const std::vector<Fd>& in_use) const {
  const Fd watch(::inotify_init1(IN_CLOEXEC));
  if (!watch) {
    SysError error("cannot watch for the container's end");
    error.replace_hint("end some containers, or an admin can allow more: sysctl fs.inotify.max_user_instances=1024");
    throw error;
  }
  // A watch keeps no filesystem alive, and IN_UNMOUNT comes when it is gone (inotify(7)).
  if (::inotify_add_watch(watch.get(), fmt::format("/proc/self/fd/{}", scratch.get()).c_str(), IN_UNMOUNT) < 0) {
    throw SysError("cannot watch for the container's end");
  }
  send_message(socket_, k_watch, {watch.get()});
  for (const Fd& fd : in_use) send_message(socket_, k_keep, {fd.get()});
}

void ContainerServer::describe(std::string_view members) const {
  send_message(socket_, members);
}

void ContainerServer::open_door() const {
  send_message(socket_, k_door_is_open);
}

}  // namespace mlctr::runtime
