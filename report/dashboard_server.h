#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "report/dashboard_http.h"

namespace sgan {

// A small HTTP server for one folder's dashboard. One thread waits for all connections at once, so clients that send or
// take their bytes slowly cost a file descriptor each and no thread; a few workers compute the responses.
// Bounds: each request's head must be complete within head_timeout and max_head bytes; at max_connections the one that
// has waited longest for its request makes room for a new one; max_streams event streams, 503 to others.
class DashboardServer {
 public:
  using Clock = std::chrono::steady_clock;
  using Handler = std::function<HttpResponse(const HttpRequest&)>;  // called by several threads at once

  struct Limits {
    size_t max_head = 16384;  // bytes
    size_t max_connections = 256;
    size_t max_streams = 16;
    size_t max_stream_backlog = 1 << 18;     // bytes that a stream's client has not taken
    size_t max_backlog = size_t{256} << 20;  // bytes that all clients together have not taken
    int workers = 4;
    std::chrono::milliseconds head_timeout{5000};
    std::chrono::milliseconds idle_timeout{30000};   // between the requests of a connection
    std::chrono::milliseconds write_timeout{10000};  // without a byte taken
    std::chrono::milliseconds drain_timeout{1000};   // for what a client still sends after its last response
    std::chrono::milliseconds heartbeat{15000};      // between comments that find dead streams
  };

  // Listens on host:port; port 0 takes any free one. Throws UserError where that cannot be.
  DashboardServer(const std::string& host, int port, Handler handler, Limits limits);
  DashboardServer(const std::string& host, int port, Handler handler)
      : DashboardServer(host, port, handler, Limits()) {}
  DashboardServer(const DashboardServer&) = delete;
  DashboardServer& operator=(const DashboardServer&) = delete;
  ~DashboardServer();

  int port() const { return port_; }
  // Serves until stop() is called, from any thread.
  void run();
  void stop();
  // Sends `message`, a whole server-sent event, to every open stream. From any thread.
  void broadcast(std::string message);

 private:
  enum class State { reading, computing, writing, streaming, draining };
  struct Connection {
    int socket;
    State state = State::reading;
    Clock::time_point deadline;
    std::string in{}, out{};
    size_t sent = 0;  // of out
    bool keep_alive = false;
  };
  using Connections = std::map<uint64_t, Connection>;  // by a number that is never used again
  struct Job {
    uint64_t connection;
    HttpRequest request;
  };
  struct Result {
    uint64_t connection;
    HttpResponse response;
    bool keep_alive;
    bool include_body;
  };

  void work();
  void wait_for_events();
  void accept_clients();
  void make_room();
  void close(Connections::iterator connection);
  void handle(Connections::iterator connection, short events);
  bool receive(Connection& connection);
  void take_request(uint64_t id, Connection& connection);
  void answer(Connection& connection, const HttpResponse& response, bool keep_alive, bool include_body);
  bool send_out(uint64_t id, Connection& connection);
  void finish_jobs();
  void send_broadcasts();
  void close_late_ones();
  size_t backlog() const;
  size_t streams() const;

  Handler handler_;
  Limits limits_;
  int listener_ = -1;
  int wake_ = -1;  // an eventfd
  int port_ = 0;
  Connections connections_;
  uint64_t next_id_ = 0;
  Clock::time_point next_heartbeat_;

  std::mutex mutex_;  // of all below
  std::condition_variable has_jobs_;
  std::deque<Job> jobs_;
  std::vector<Result> results_;
  std::vector<std::string> broadcasts_;
  bool stopped_ = false;
};

}  // namespace sgan
