#include "runtime/container_server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/error.hpp"
#include "base/soft_limits.hpp"
#include "base/thread.hpp"
#include "runtime/background.hpp"
#include "runtime/fuse_mount.hpp"
#include "runtime/message.hpp"
#include "runtime/process_table.hpp"
#include "runtime/run_lock.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::string_view k_door_is_open = "open", k_watch = "watch", k_keep = "keep";
// Six namespaces, the socket's directory, itself and its lock, the watch, and the text if it is long, go along.
constexpr std::size_t k_max_shared = k_max_message_fds - 11;
constexpr std::chrono::seconds k_patience_with_maker{1};  // it may be a supervisor, who outlives us

struct Maker {
  pid_t pid = 0;
  Fd process;
};

Fd make_eventfd() {
  Fd fd(::eventfd(0, EFD_CLOEXEC));
  if (!fd) throw SysError("cannot make an eventfd");
  return fd;
}

void count_up(const Fd& eventfd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(eventfd.get(), &one, sizeof one);
}

// Waits in the place of a server that another process is. False where `holder` closes before: nobody needs it then.
bool stand_by(const Fd& run_lock, const Fd& holder, Fd& turn) {
  const Fd has_come = make_eventfd();
  std::thread([&] {  // a lock can't be polled for; where this returns false the process ends, and the thread with it
    try {
      turn = wait_for_turn(run_lock);
      count_up(has_come);
    } catch (const std::exception&) {
      // Then it never has its turn.
    }
  }).detach();
  std::array<pollfd, 2> wanted{{{has_come.get(), POLLIN, 0}, {holder.get(), POLLIN, 0}}};
  while (::poll(wanted.data(), wanted.size(), -1) < 0) {
  }
  return wanted[0].revents != 0;
}

class Server {
 public:
  Server(ServerSetup setup, Fd control, Maker maker)
      : setup_(std::move(setup)),
        control_(std::move(control)),
        maker_(std::move(maker)),
        session_ended_(make_eventfd()) {
    if (setup_.socket.lock()) turn_ = wait_for_turn(setup_.socket.lock());  // no other server is there
    setup_.socket.serve_from_here();
  }

  // In the place of another. Whoever made it keeps `control` open to its end, and has nothing to say.
  Server(ServerSetup setup, ServedContainer served, ContainerMembers members, Fd control, Maker maker, Fd turn)
      : setup_(std::move(setup)),
        control_(std::move(control)),
        maker_(std::move(maker)),
        turn_(std::move(turn)),
        session_ended_(make_eventfd()),
        members_(std::move(members)),
        is_open_(true) {
    setup_.socket.serve_from_here();
    if (served.watch) watch(std::move(served.watch));
    served_.kept = std::move(served.kept);
    for (ServedMount& mount : served.mounts) take_up(std::move(mount));
  }

  // Until the container has been, and is gone; or its maker died before it was. The thread that is here already serves
  // the first image: its maker waits for the first answer, and a new thread for a processor perhaps.
  void run() {
    loop();
    if (auto first = std::exchange(first_, std::nullopt)) {
      const std::jthread door = start_thread("let others into the container", [this] { loop(); });
      serve_session(std::move(*first));
    }
    served_.kept.clear();
    // A maker that was killed closes our connection before, perhaps, what at_end looks at.
    if (!members_) wait_for_end(maker_.process, k_patience_with_maker);
    if (setup_.at_end) setup_.at_end();
    setup_.socket.remove();
  }

 private:
  struct Session {
    ServedMount* mount;
    Fd answering;  // a clone of the mount's device, else that itself
  };

  // Returns as well when the first session is to be served.
  void loop() {
    while ((control_ || sessions_ > 0) && !first_) {
      std::array<pollfd, 4> wanted{{{control_.get(), POLLIN, 0},
                                    {session_ended_.get(), POLLIN, 0},
                                    {setup_.socket.fd(), POLLIN, 0},
                                    {served_.watch.get(), POLLIN, 0}}};
      if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;  // EINTR
      if (wanted[0].revents != 0) hear_maker();
      if (wanted[1].revents != 0) count_ended();
      if (wanted[2].revents != 0) answer();
      if (wanted[3].revents != 0) {
        served_.watch.reset();
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
    } else if (message->text == k_watch && !served_.watch && message->fds.size() == 1) {
      if (!members_) members_.emplace(message->sender);
      watch(std::move(message->fds[0]));
    } else if (message->text == k_keep) {
      for (Fd& fd : message->fds) served_.kept.push_back(std::move(fd));
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
    take_up({.image = number, .device = std::move(message.fds[0])});
  }

  void watch(Fd fd) {
    served_.watch = std::move(fd);
    ++sessions_;
  }

  void take_up(ServedMount mount) {
    ++sessions_;
    // Where it can't be one's own, another's descriptor of the device would keep the requests that a killed server
    // had read waiting for ever.
    Fd answering = setup_.socket.lock() ? clone_fuse_device(mount.device) : Fd();
    can_be_followed_ = can_be_followed_ && answering;
    if (!answering) answering = std::move(mount.device);
    const std::lock_guard lock(mounts_);
    Session session{&served_.mounts.emplace_back(std::move(mount)), std::move(answering)};
    if (served_.mounts.size() == 1) {
      first_ = std::move(session);
    } else {
      std::thread([this, session = std::move(session)]() mutable { serve_session(std::move(session)); }).detach();
    }
  }

  void serve_session(Session session) {
    try {
      ImageServerOptions options = setup_.options;
      const std::size_t image = session.mount->image;
      if (image != 0) options.programs.clear();  // no rootfs
      if (image >= setup_.first_layer && image < setup_.end_of_layers) {
        options.marks = OverlayMarks::shown;
        options.cached_data_bytes /= 4;  // there may be many
      }
      options.first_request = session.mount->first_request;
      options.on_first_request = [this, mount = session.mount](std::string request) {
        const std::lock_guard lock(mounts_);
        mount->first_request = std::move(request);
      };
      serve_image(std::move(session.answering), *setup_.images[image].reader, options);
    } catch (const std::exception&) {
      // Closing the descriptor has told whoever reads there: nobody is left to tell more.
    }
    count_up(session_ended_);
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
      if (asks_to_join(request->text) && !is_open_) {
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
    std::vector<int> shared;
    if (!asks_to_join(request.text)) {
      answer["first_has_ended"] = members_ && !members_->has_founder();
      answer["pids"] = members_ ? members_->pids() : std::vector<pid_t>{};
    } else if (members_) {
      ContainerMembers::Namespaces found = members_->namespaces();
      answer["namespaces"] = found.names;
      namespaces = std::move(found.fds);
      members_->add(request.sender);
      // Nothing of one in which nobody is any more: who asks is to see that it ends, and to start it anew.
      if (request.text == k_stand_by && !namespaces.empty()) shared = share(answer);
    }
    std::vector<int> fds;
    for (const Fd& fd : namespaces) fds.push_back(fd.get());
    fds.insert(fds.end(), shared.begin(), shared.end());
    send_message(client, answer.dump(), fds);
  }

  // None where there can be no other server.
  std::vector<int> share(nlohmann::json& answer) {
    if (!can_be_followed_ || !setup_.socket.lock()) return {};
    const std::lock_guard lock(mounts_);
    if (served_.mounts.size() + setup_.images.size() + served_.kept.size() > k_max_shared) return {};
    return write_share(served_, setup_.images, setup_.options.owner, setup_.socket, answer);
  }

  ServerSetup setup_;
  Fd control_;
  Maker maker_;
  Fd turn_;           // the lock of who serves
  Fd session_ended_;  // an eventfd: how many sessions ended since it was read
  long sessions_ = 0;
  ServedContainer served_;  // the watch counts as a session
  std::mutex mounts_;       // of served_
  bool can_be_followed_ = true;
  std::optional<Session> first_;
  std::optional<ContainerMembers> members_;
  bool is_open_ = false;
  std::vector<std::pair<Fd, Message>> waiting_;  // who asked to join before that
};

// One that stands by for another.
struct Standby {
  ServedContainer served;
  ContainerMembers members;
};

void serve(ServerSetup setup, std::optional<Standby> standby, Fd control, Maker maker) {
  if (!standby) return Server(std::move(setup), std::move(control), std::move(maker)).run();
  Fd turn;
  if (!stand_by(setup.socket.lock(), control, turn)) return;
  Server(std::move(setup), std::move(standby->served), std::move(standby->members), std::move(control),
         std::move(maker), std::move(turn))
      .run();
}

[[noreturn]] void run_server(ServerSetup setup, std::optional<Standby> standby, Fd control, Maker maker) {
  try {
    leave_session("mlctr-server");
    ignore_signals();
    for (const int fd : setup.not_inherited) ::close(fd);
    close_inherited_descriptors();
    silence();
    serve(std::move(setup), std::move(standby), std::move(control), std::move(maker));
  } catch (const std::exception&) {
    // No terminal is left; the container's maker sees its end of the socket closed.
    ::_exit(1);
  }
  ::_exit(0);
}

// Returns what it hears its maker through. What it was made from stays the caller's.
Fd fork_server(ServerSetup& setup, std::optional<Standby> standby) {
  auto [ours, servers] = socket_pair();
  Maker maker{::getpid(), open_process(::getpid())};
  const pid_t child = ::fork();
  if (child < 0) throw fork_error("cannot start the container's server", errno);
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
    ours.reset();
    run_server(std::move(setup), std::move(standby), std::move(servers), std::move(maker));
  }
  if (reap(child) != 0) throw fork_error("cannot start the container's server", EAGAIN);
  return std::move(ours);
}

}  // namespace

Fd ContainerServer::stand_by(ServerSetup setup, ServedContainer served, ContainerMembers members) {
  return fork_server(setup, Standby{std::move(served), std::move(members)});
}

ContainerServer ContainerServer::start(ServerSetup setup) try {
  return ContainerServer(fork_server(setup, std::nullopt));
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
