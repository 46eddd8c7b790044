#include "report/dashboard_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include <fmt/format.h>

// The server without the dashboard, so that it runs under the sanitizers without LibTorch.

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class DashboardServerTest : public testing::Test {
 protected:
  DashboardServerTest() : server_("127.0.0.1", 0, answer), thread_([this] { server_.run(); }) {}
  ~DashboardServerTest() override {
    server_.stop();
    thread_.join();
  }

  static HttpResponse answer(const HttpRequest& request) {
    HttpResponse response = text_response(200, "you asked for " + request.parameter("a"));
    response.is_stream = request.path == "/stream";
    return response;
  }

  int connect_to() const {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return client;
  }
  static void send_head(int client, const std::string& target, const std::string& connection) {
    const std::string head =
        fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: {}\r\n\r\n", target, connection);
    EXPECT_EQ(::send(client, head.data(), head.size(), MSG_NOSIGNAL), static_cast<ssize_t>(head.size()));
  }
  // What arrives until it has `end`, or until the server closes.
  static std::string receive(int client, const std::string& end) {
    std::string got;
    char bytes[4096];
    while (end.empty() || got.find(end) == got.npos) {
      const ssize_t count = ::recv(client, bytes, sizeof bytes, 0);
      if (count <= 0) break;
      got.append(bytes, static_cast<size_t>(count));
    }
    return got;
  }

  DashboardServer server_;
  std::thread thread_;
};

TEST_F(DashboardServerTest, ManyClientsGetTheirOwnAnswers) {
  constexpr int kClients = 6;
  constexpr int kRequests = 20;
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      const int client = connect_to();
      for (int i = 0; i < kRequests; ++i) {
        const std::string mine = fmt::format("{}-{}", c, i);
        send_head(client, "/?a=" + mine, i + 1 < kRequests ? "keep-alive" : "close");
        const std::string wanted = fmt::format("you asked for {}\n", mine);
        if (receive(client, wanted).ends_with(wanted)) ++right;
      }
      EXPECT_EQ(receive(client, ""), "");  // the server closes after the last
      ::close(client);
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(right, kClients * kRequests);
}

TEST_F(DashboardServerTest, BroadcastsFromAnyThreadReachTheStreams) {
  const int client = connect_to();
  send_head(client, "/stream?a=news", "keep-alive");
  EXPECT_THAT(receive(client, "news\n"), StartsWith("HTTP/1.1 200 OK"));
  std::thread first([&] { server_.broadcast("data: 1\n\n"); });
  std::thread second([&] { server_.broadcast("data: 2\n\n"); });
  first.join();
  second.join();
  server_.broadcast("data: end\n\n");
  const std::string got = receive(client, "end\n\n");
  EXPECT_THAT(got, HasSubstr("data: 1\n\n"));
  EXPECT_THAT(got, HasSubstr("data: 2\n\n"));
  ::close(client);
}

}  // namespace
}  // namespace sgan
