#include "report/dashboard_server.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "configs/error.h"

namespace sgan {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

[[noreturn]] void fail_to_listen(const std::string& host, int port, int code) {
  if (code == EADDRINUSE) {
    throw UserError(
        fmt::format("port {} of {} is in use by another program. Give another one with --port, or --port 0 "
                    "for any free one.",
                    port, host));
  }
  const char* next = code == EACCES          ? "Ports below 1024 need root: give another one with --port."
                     : code == EADDRNOTAVAIL ? "Give an address of this machine with --host, such as 127.0.0.1."
                                             : "Give another --host or --port.";
  throw UserError(
      fmt::format("cannot listen on port {} of {}: {}. {}", port, host, std::generic_category().message(code), next));
}

int port_of(int socket) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  std::array<char, NI_MAXSERV> port{};
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      ::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, nullptr, 0, port.data(), port.size(),
                    NI_NUMERICSERV) != 0) {
    throw UserError("cannot read the port that the system chose. Give one with --port.");
  }
  return std::stoi(port.data());
}

int listen_on(const std::string& host, int port) {
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0) {
    throw UserError(fmt::format("cannot find the host {}: {}. Give an address of this machine with --host, such as "
                                "127.0.0.1.",
                                host, ::gai_strerror(error)),
                    UserError::Kind::usage);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  const int listener = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) fail_to_listen(host, port, errno);
  const int on = 1;  // a server that ended just now must not hold the port
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener, found->ai_addr, found->ai_addrlen) != 0 || ::listen(listener, SOMAXCONN) != 0) {
    const int code = errno;
    ::close(listener);
    fail_to_listen(host, port, code);
  }
  return listener;
}

}  // namespace

DashboardServer::DashboardServer(const std::string& host, int port, Handler handler, Limits limits)
    : handler_(std::move(handler)), limits_(limits), listener_(listen_on(host, port)), port_(port_of(listener_)) {
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

DashboardServer::~DashboardServer() {
  for (const auto& [id, connection] : connections_) ::close(connection.socket);
  ::close(listener_);
  ::close(wake_);
}

void DashboardServer::run() {
  std::vector<std::thread> workers;
  for (int i = 0; i < limits_.workers; ++i) workers.emplace_back([this] { work(); });
  next_heartbeat_ = Clock::now() + limits_.heartbeat;
  while (true) {
    wait_for_events();
    finish_jobs();
    send_broadcasts();
    close_late_ones();
    const std::lock_guard lock(mutex_);
    if (stopped_) break;
  }
  has_jobs_.notify_all();
  for (auto& worker : workers) worker.join();
}

void DashboardServer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  ::eventfd_write(wake_, 1);
}

void DashboardServer::broadcast(std::string message) {
  {
    const std::lock_guard lock(mutex_);
    broadcasts_.push_back(std::move(message));
  }
  ::eventfd_write(wake_, 1);
}

void DashboardServer::work() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      has_jobs_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
      if (stopped_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    HttpResponse response;
    try {
      response = handler_(job.request);
    } catch (const std::exception& error) {
      response = text_response(500, error.what());
    }
    {
      const std::lock_guard lock(mutex_);
      results_.push_back({job.connection, std::move(response), job.request.keep_alive, job.request.method == "GET"});
    }
    ::eventfd_write(wake_, 1);
  }
}

void DashboardServer::wait_for_events() {
  std::vector<pollfd> sockets{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
  std::vector<uint64_t> ids;
  for (const auto& [id, connection] : connections_) {
    short events = connection.state == State::computing || connection.state == State::writing ? 0 : POLLIN;
    if (connection.sent < connection.out.size()) events |= POLLOUT;
    sockets.push_back({connection.socket, events, 0});
    ids.push_back(id);
  }
  // Deadlines are seconds long, so looking at them four times a second is enough.
  if (::poll(sockets.data(), sockets.size(), 250) <= 0) return;
  if (sockets[0].revents != 0) {
    eventfd_t count = 0;
    ::eventfd_read(wake_, &count);
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (sockets[i + 2].revents != 0) handle(connections_.find(ids[i]), sockets[i + 2].revents);
  }
  if (sockets[1].revents != 0) accept_clients();
}

void DashboardServer::accept_clients() {
  // A bounded number at a time: a flood must not keep the others waiting.
  for (int i = 0; i < 64; ++i) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
      if (errno == EMFILE || errno == ENFILE) make_room();
      return;
    }
    if (connections_.size() >= limits_.max_connections) make_room();
    if (connections_.size() >= limits_.max_connections) {
      ::close(socket);
      continue;
    }
    connections_.emplace(next_id_++, Connection{.socket = socket, .deadline = Clock::now() + limits_.head_timeout});
  }
}

// Closes the connection that has kept the server waiting longest, for its request or for taking a response.
void DashboardServer::make_room() {
  auto oldest = connections_.end();
  for (auto connection = connections_.begin(); connection != connections_.end(); ++connection) {
    const State state = connection->second.state;
    if (state == State::computing || state == State::streaming) continue;
    if (oldest == connections_.end() || connection->second.deadline < oldest->second.deadline) oldest = connection;
  }
  if (oldest != connections_.end()) close(oldest);
}

void DashboardServer::close(Connections::iterator connection) {
  ::close(connection->second.socket);
  connections_.erase(connection);
}

void DashboardServer::handle(Connections::iterator found, short events) {
  auto& [id, connection] = *found;
  bool open = (events & (POLLERR | POLLNVAL)) == 0;
  // A client that is gone altogether; one that has only ended its sending shows as POLLIN with no bytes.
  if ((events & POLLHUP) != 0 && (events & POLLIN) == 0) open = false;
  if (open && (events & POLLIN) != 0) open = receive(connection);
  if (open && connection.state == State::reading) take_request(id, connection);
  if (open) open = send_out(id, connection);
  if (!open) close(found);
}

// False where the client is gone.
bool DashboardServer::receive(Connection& connection) {
  std::array<char, 4096> bytes;
  const ssize_t got = ::recv(connection.socket, bytes.data(), bytes.size(), 0);
  if (got == 0) return false;
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (connection.state != State::reading) return true;  // nothing more is expected of it
  // The time for a request's head begins with its first byte and is not prolonged by further ones.
  if (connection.in.empty()) connection.deadline = Clock::now() + limits_.head_timeout;
  connection.in.append(bytes.data(), static_cast<size_t>(got));
  return true;
}

void DashboardServer::take_request(uint64_t id, Connection& connection) {
  const size_t end = connection.in.find(kHeadEnd);
  if (end > limits_.max_head) {  // also npos
    if (connection.in.size() > limits_.max_head) {
      answer(connection, text_response(431, "the request's head is too large"), false, true);
    }
    return;
  }
  const auto parsed = parse_request(std::string_view(connection.in).substr(0, end + kHeadEnd.size()));
  connection.in.erase(0, end + kHeadEnd.size());
  if (const auto* error = std::get_if<HttpError>(&parsed)) {
    answer(connection, text_response(error->status, error->text), false, true);
    return;
  }
  connection.state = State::computing;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({id, std::get<HttpRequest>(parsed)});
  }
  has_jobs_.notify_one();
}

void DashboardServer::answer(Connection& connection, const HttpResponse& response, bool keep_alive, bool include_body) {
  const bool is_stream = response.is_stream && include_body;
  connection.out = serialize(response, keep_alive && !response.is_stream, include_body);
  connection.sent = 0;
  connection.keep_alive = keep_alive && !response.is_stream;
  connection.state = is_stream ? State::streaming : State::writing;
  connection.deadline = Clock::now() + limits_.write_timeout;
}

// Sends what the socket takes. False where the connection is over.
bool DashboardServer::send_out(uint64_t id, Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const ssize_t sent = ::send(connection.socket, connection.out.data() + connection.sent,
                                connection.out.size() - connection.sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection.sent += static_cast<size_t>(sent);
    connection.deadline = Clock::now() + limits_.write_timeout;
  }
  connection.out.clear();
  connection.sent = 0;
  if (connection.state != State::writing) return true;
  if (!connection.keep_alive) {
    // Closing while bytes arrive would reset the connection, and the client might lose the response.
    connection.state = State::draining;
    connection.deadline = Clock::now() + limits_.drain_timeout;
    return ::shutdown(connection.socket, SHUT_WR) == 0;
  }
  connection.state = State::reading;
  connection.deadline = Clock::now() + limits_.idle_timeout;
  if (!connection.in.empty()) {  // requests sent one after the other without waiting
    connection.deadline = Clock::now() + limits_.head_timeout;
    take_request(id, connection);
  }
  return true;
}

void DashboardServer::finish_jobs() {
  std::vector<Result> results;
  {
    const std::lock_guard lock(mutex_);
    results.swap(results_);
  }
  for (Result& result : results) {
    const auto found = connections_.find(result.connection);
    if (found == connections_.end()) continue;  // the client did not wait
    if (result.response.is_stream && streams() >= limits_.max_streams) {
      result.response = text_response(503, "too many open dashboards");
    } else if (backlog() + result.response.body.size() > limits_.max_backlog) {
      result.response = text_response(503, "too many responses are being sent");
    }
    answer(found->second, result.response, result.keep_alive, result.include_body);
    if (!send_out(result.connection, found->second)) close(found);
  }
}

void DashboardServer::send_broadcasts() {
  std::vector<std::string> messages;
  {
    const std::lock_guard lock(mutex_);
    messages.swap(broadcasts_);
  }
  const auto now = Clock::now();
  if (now >= next_heartbeat_) {
    messages.emplace_back(":\n\n");
    next_heartbeat_ = now + limits_.heartbeat;
  }
  if (messages.empty()) return;
  for (auto next = connections_.begin(); next != connections_.end();) {
    const auto connection = next++;
    if (connection->second.state != State::streaming) continue;
    for (const auto& message : messages) connection->second.out += message;
    const bool open = send_out(connection->first, connection->second);
    if (!open || connection->second.out.size() > limits_.max_stream_backlog) close(connection);
  }
}

void DashboardServer::close_late_ones() {
  const auto now = Clock::now();
  for (auto next = connections_.begin(); next != connections_.end();) {
    const auto connection = next++;
    const State state = connection->second.state;
    if (state != State::computing && state != State::streaming && connection->second.deadline < now) close(connection);
  }
}

size_t DashboardServer::backlog() const {
  size_t bytes = 0;
  for (const auto& [id, connection] : connections_) bytes += connection.out.size();
  return bytes;
}

size_t DashboardServer::streams() const {
  return static_cast<size_t>(
      std::ranges::count_if(connections_, [](const auto& entry) { return entry.second.state == State::streaming; }));
}

}  // namespace sgan
