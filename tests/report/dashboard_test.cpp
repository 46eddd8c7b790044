#include "report/dashboard.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "configs/error.h"
#include "tests/report/run_fixture.h"

// The dashboard's server over real sockets: what it serves, and what it refuses or survives.

namespace sgan {
namespace {

namespace fs = std::filesystem;
using namespace std::literals;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// A connection to 127.0.0.1.
class Client {
 public:
  explicit Client(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval limit = {.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(socket_); }

  bool is_connected() const { return is_connected_; }

  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // What has come when the server closes, or when `mark` has come.
  std::string receive(std::string_view mark = "\n\n\n\n") const {
    std::string all;
    std::array<char, 65536> bytes;
    while (all.find(mark) == all.npos) {
      const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
      if (got <= 0) break;
      all.append(bytes.data(), static_cast<size_t>(got));
    }
    return all;
  }

  // Whether the server has closed the connection, or does so soon.
  bool is_closed() const {
    char byte = 0;
    const ssize_t got = ::recv(socket_, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }

 private:
  int socket_;
  bool is_connected_;
};

struct Answer {
  int status = 0;
  std::string head, body;
  Json json() const { return Json::parse(body); }
};

class DashboardTest : public RunFixture {
 protected:
  DashboardTest() {
    make_run("tree/a", "spectral");
    make_run("tree/b", "gp");
    write("secret.png", "secret");
    write("tree/secret.txt", "secret");
  }
  ~DashboardTest() override {
    if (dashboard) dashboard->stop();
    if (server.joinable()) server.join();
  }

  void start(DashboardServer::Limits limits = {}) {
    dashboard = std::make_unique<Dashboard>(root / "tree", "127.0.0.1", 0, limits);
    server = std::thread([this] { dashboard->run(); });
  }
  int port() const { return dashboard->port(); }

  std::string exchange(std::string_view bytes) const {
    const Client client(port());
    client.send(bytes);
    return client.receive();
  }
  static Answer parse(const std::string& bytes) {
    Answer answer;
    const size_t end = bytes.find("\r\n\r\n");
    if (!bytes.starts_with("HTTP/1.1 ") || end == bytes.npos) return answer;
    answer.status = std::stoi(bytes.substr(9, 3));
    answer.head = bytes.substr(0, end);
    answer.body = bytes.substr(end + 4);
    return answer;
  }
  Answer get(const std::string& target, const std::string& host = "localhost") const {
    return parse(exchange(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target, host)));
  }

  void append_metrics(const std::string& run, int from, int to) const {
    std::ofstream stream(root / "tree" / run / "metrics.jsonl", std::ios::app);
    for (int step = from; step <= to; ++step) {
      stream << fmt::format("{{\"step\":{},\"wall_s\":{},\"loss_d\":{}}}\n", step, step * 0.1, step == 500 ? 99 : 1);
    }
  }
  void expect_alive(std::chrono::milliseconds within = 1500ms) const {
    const auto begin = Clock::now();
    EXPECT_EQ(get("/api/runs").status, 200);
    EXPECT_LT(Clock::now() - begin, within);
  }

  std::unique_ptr<Dashboard> dashboard;
  std::thread server;
};

TEST_F(DashboardTest, ServesItsPageUnderAStrictPolicy) {
  start();
  const Answer page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head,
              HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"));
  EXPECT_THAT(page.head, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(page.head, HasSubstr("Referrer-Policy: no-referrer"));
  EXPECT_THAT(page.head, HasSubstr("Cache-Control: no-cache"));
  EXPECT_THAT(page.body, HasSubstr("/dashboard.js"));
  for (const std::string name : {"dashboard.js", "common.js", "runs.js", "charts.js", "panels.js", "dygraph.js"}) {
    const Answer script = get("/" + name);
    EXPECT_EQ(script.status, 200) << name;
    EXPECT_THAT(script.head, HasSubstr("Content-Type: text/javascript")) << name;
    EXPECT_EQ(name != "dygraph.js" && script.body.find("innerHTML =") != script.body.npos, false) << name;
  }
  EXPECT_THAT(get("/dashboard.css").head, HasSubstr("Content-Type: text/css"));
  EXPECT_THAT(get("/api/runs").head, HasSubstr("Cache-Control: no-store"));
}

TEST_F(DashboardTest, ListsRunsAndTellsOnlyNews) {
  start();
  const Json all = get("/api/runs").json();
  EXPECT_EQ(all.at("runs").size(), 2u);
  const auto target = fmt::format("/api/runs?instance={}&since={}", all.at("instance").get<std::string>(),
                                  all.at("version").get<uint64_t>());
  EXPECT_THAT(get(target).json().at("runs"), IsEmpty());
  EXPECT_THAT(
      get(fmt::format("/api/runs?instance=other&since={}", all.at("version").get<uint64_t>())).json().at("runs"),
      SizeIs(2));
}

TEST_F(DashboardTest, CurvesAreDecimatedAndZoomedIntoInFull) {
  append_metrics("a", 1, 10000);
  start();
  const Json whole = get("/api/curves?run=a&run=b&metric=loss_d&points=100").json().at("curves");
  ASSERT_EQ(whole.size(), 2u);
  EXPECT_LE(whole[0].at("x").size(), 100u);
  EXPECT_EQ(std::ranges::count(whole[0].at("y"), Json(99.0)), 1);
  EXPECT_THAT(whole[1].at("x"), IsEmpty());
  const Json part = get("/api/curves?run=a&metric=loss_d&points=100&from=495&to=505").json().at("curves")[0];
  EXPECT_EQ(part.at("x").size(), 13u);
  const Json smooth = get("/api/curves?run=a&metric=loss_d&smooth=0.9&axis=seconds").json().at("curves")[0];
  EXPECT_TRUE(smooth.contains("smooth"));
  EXPECT_DOUBLE_EQ(smooth.at("x")[0].get<double>(), 0.1);
  EXPECT_THAT(get("/api/metrics?run=a").json().at("metrics"), ElementsAre("loss_d"));
}

TEST_F(DashboardTest, NumbersOutOfBoundsAreBroughtIntoThem) {
  append_metrics("a", 1, 100);
  start();
  for (const std::string query :
       {"points=0", "points=-1", "points=1e9", "points=99999999999999999999", "from=nan&to=nan", "from=inf",
        "smooth=1e300", "smooth=nan", "from=9&to=1", "axis=%20"}) {
    EXPECT_EQ(get("/api/curves?run=a&metric=loss_d&" + query).status, 200) << query;
  }
}

TEST_F(DashboardTest, SamplesAreServedByRunAndStep) {
  const std::string bytes("\x89PNG\r\n\x1a\n\0pixels", 15);
  write("tree/a/samples/step-00000100.png", bytes);
  write("tree/a/samples/reals.png", "reals");
  start();
  const Json run = get("/api/samples?run=a").json().at("runs")[0];
  EXPECT_EQ(run.at("steps"), Json({100}));
  EXPECT_EQ(run.at("reals"), true);
  const Answer image = get("/api/image?run=a&step=100");
  EXPECT_EQ(image.body, bytes);
  EXPECT_THAT(image.head, HasSubstr("Content-Type: image/png"));
  EXPECT_EQ(get("/api/image?run=a&step=reals").body, "reals");
  EXPECT_EQ(get("/api/image?run=a&step=200").status, 404);
}

TEST_F(DashboardTest, BracketsConfigsAndRecords) {
  write("tree/a/lipschitz/step-00000100.json",
        R"({"step":100,"network":{"lower":1,"upper":2,"slopes":{}},"layers":[]})");
  write("tree/a/lipschitz/step-00000200.json", R"({"step":200,"network":{"lower":3}})");
  start();
  const Json newest = get("/api/lipschitz?run=a").json();
  EXPECT_EQ(newest.at("steps"), Json({100, 200}));
  EXPECT_EQ(newest.at("bracket").at("step"), 200);
  const Json chosen = get("/api/lipschitz?run=a&step=100").json().at("bracket");
  EXPECT_EQ(chosen.at("network"), Json({{"lower", 1}, {"upper", 2}}));
  EXPECT_TRUE(get("/api/lipschitz?run=b").json().at("bracket").is_null());

  const Json configs = get("/api/configs?run=a&run=b").json();
  EXPECT_EQ(configs.at("keys")[0], Json({{"key", "name"}, {"values", {"tree/a", "tree/b"}}}));
  EXPECT_EQ(configs.at("records")[1].at("strategy"), "gp");
}

TEST_F(DashboardTest, LogsComeInPartsOfWholeLines) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += fmt::format("line {:05}\n", i);
  write("tree/a/log.txt", text + "part");
  start();
  Json part = get("/api/log?run=a").json();
  EXPECT_EQ(part.at("end"), text.size());
  std::string all = part.at("text");
  EXPECT_LE(all.size(), 65536u);
  EXPECT_THAT(all, StartsWith("line "));
  while (part.at("start") > 0) {
    part = get(fmt::format("/api/log?run=a&end={}", part.at("start").get<uint64_t>())).json();
    all = part.at("text").get<std::string>() + all;
  }
  EXPECT_EQ(all, text);

  write("tree/a/log.txt", text + "part and more\nlast");
  part = get(fmt::format("/api/log?run=a&start={}", text.size())).json();
  EXPECT_EQ(part.at("text"), "part and more\n");
  write("tree/a/log.txt", "cut\n");  // a resumed run
  part = get(fmt::format("/api/log?run=a&start={}", text.size())).json();
  EXPECT_EQ(part.at("start"), 0);
  EXPECT_EQ(part.at("text"), "cut\n");
  EXPECT_EQ(get("/api/log?run=b").json().at("text"), "");
  write("tree/b/log.txt", std::string(200000, 'x'));  // no line's end at all
  EXPECT_EQ(get("/api/log?run=b").json().at("text").get<std::string>().size(), 65536u);
  write("tree/b/log.txt", "\xFF\x1b[31m<b>\n");
  EXPECT_EQ(get("/api/log?run=b").json().at("text"), "\uFFFD\x1b[31m<b>\n");
}

TEST_F(DashboardTest, ReportsAreServedInASandbox) {
  write("tree/a/report.html", "<script>1</script>");
  write("tree/report.html", "of all");
  start();
  const Answer report = get("/report?run=a");
  EXPECT_EQ(report.body, "<script>1</script>");
  EXPECT_THAT(report.head,
              HasSubstr("Content-Security-Policy: sandbox allow-scripts allow-downloads; default-src 'none'"));
  EXPECT_THAT(report.head, Not(HasSubstr("allow-same-origin")));
  EXPECT_EQ(get("/report?folder=.").body, "of all");
  EXPECT_EQ(get("/report?run=b").status, 404);
  EXPECT_EQ(get("/report?folder=a").status, 404);
}

TEST_F(DashboardTest, NothingOutsideIsServed) {
  write("tree/a/samples/step-00000001.png", "inside");
  fs::create_symlink(root / "secret.png", root / "tree/a/samples/step-00000002.png");
  fs::create_symlink(root / "secret.png", root / "tree/a/samples/reals.png");
  fs::create_symlink(root / "secret.png", root / "tree/a/log.txt");
  fs::create_symlink(root / "secret.png", root / "tree/a/report.html");
  fs::create_directory_symlink(root, root / "tree/out");
  fs::create_directory_symlink(root, root / "tree/b/samples");
  start();
  const std::vector<std::string> targets = {"/../secret.png",
                                            "/..%2fsecret.png",
                                            "/%2e%2e/secret.png",
                                            "/%252e%252e/secret.png",
                                            "//etc/passwd",
                                            "/secret.txt",
                                            "/a/run.json",
                                            "/./secret.txt",
                                            "/dashboard.js/../secret.txt",
                                            "/dashboard.js%00.png",
                                            "/api/image?run=..&step=1",
                                            "/api/image?run=../&step=reals",
                                            "/api/image?run=%2e%2e&step=1",
                                            "/api/image?run=%252e%252e&step=1",
                                            "/api/image?run=/etc&step=1",
                                            "/api/image?run=a/../../&step=1",
                                            "/api/image?run=a&step=../../../secret",
                                            "/api/image?run=a%00&step=1",
                                            "/api/image?run=a&step=2",
                                            "/api/image?run=a&step=reals",
                                            "/api/image?run=out&step=1",
                                            "/api/image?run=b&step=1",
                                            "/report?run=a",
                                            "/report?folder=..",
                                            "/report?folder=/etc",
                                            "/report?run=out/tree/a",
                                            "/api/log?run=..",
                                            "/api/configs?run=..",
                                            "/api/lipschitz?run=../tree/a",
                                            "/api/curves?run=..&metric=loss_d",
                                            "/api/image?run=a&step=99999999999999999999",
                                            "/api/image?run=" + std::string(5000, 'a') + "&step=1"};
  for (const auto& target : targets) {
    const Answer answer = get(target);
    EXPECT_THAT(answer.status, AnyOf(400, 404)) << target;
    EXPECT_THAT(answer.body, Not(HasSubstr("secret"))) << target;
  }
  EXPECT_EQ(get("/api/log?run=a").json().at("text"), "");
  EXPECT_EQ(get("/api/image?run=a&step=1").body, "inside");
}

TEST_F(DashboardTest, OnlyItsOwnNamesAreItsHost) {
  start();
  EXPECT_EQ(get("/api/runs", "localhost:1234").status, 200);
  EXPECT_EQ(get("/api/runs", "127.0.0.1").status, 200);
  EXPECT_EQ(get("/api/runs", "[::1]:6010").status, 200);
  for (const std::string host : {"evil.example", "evil.example:6010", "localhost.evil.example",
                                 "127.0.0.1.evil.example", "", "169.254.169.254", "localhost evil"}) {
    EXPECT_EQ(get("/api/runs", host).status, 403) << host;
    EXPECT_EQ(get("/", host).status, 403) << host;
  }
  EXPECT_EQ(parse(exchange("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")).status, 400);
  EXPECT_EQ(parse(exchange("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n")).status, 400);
  EXPECT_TRUE(is_own_host("box.example:80", "box.example"));
  EXPECT_FALSE(is_own_host("box.example", "127.0.0.1"));
  EXPECT_TRUE(is_own_host("10.1.2.3:6010", "0.0.0.0"));
  EXPECT_TRUE(is_own_host("[fe80::1]:6010", "::"));
  EXPECT_FALSE(is_own_host("evil.example", "0.0.0.0"));
}

TEST_F(DashboardTest, WhatIsNotAGetIsRefused) {
  start();
  const Answer post = parse(exchange("POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"));
  EXPECT_EQ(post.status, 405);
  EXPECT_THAT(post.head, HasSubstr("Allow: GET, HEAD"));
  const auto status_of = [&](const std::string& bytes) { return parse(exchange(bytes)).status; };
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"), 413);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 413);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length : 3\r\n\r\nabc"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: localhost\r\n folded: 1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: local"s + '\0' + "host\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"), 505);
  EXPECT_EQ(status_of("\x16\x03\x01\x02 TLS\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /api/runs?since=%4 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
  std::string many = "/api/curves?";
  for (int i = 0; i < 1000; ++i) many += "run=a&";
  EXPECT_EQ(get(many).status, 414);
  EXPECT_EQ(get("/api/curves?metric=loss_d").status, 400);
  const Answer head = parse(exchange("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  expect_alive();
}

TEST_F(DashboardTest, AHugeHeaderIsRefused) {
  start();
  const std::string start_of = "GET / HTTP/1.1\r\nHost: localhost\r\nX: ";
  EXPECT_EQ(parse(exchange(start_of + std::string(size_t{1} << 20, 'x'))).status, 431);
  EXPECT_EQ(parse(exchange("GET /" + std::string(100000, 'x'))).status, 431);
  expect_alive();
}

TEST_F(DashboardTest, RequestsFollowEachOtherOnOneConnection) {
  start();
  const Client client(port());
  client.send(
      "GET /api/runs HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /api/metrics?run=a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string all = client.receive();
  const size_t first = all.find("HTTP/1.1 200"), second = all.find("HTTP/1.1 404"), third = all.find("{\"metrics\"");
  EXPECT_EQ(first, 0u);
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, all.npos);
}

TEST_F(DashboardTest, AThousandSlowClientsKeepNobodyWaiting) {
  rlimit limit = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  start();
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 1000; ++i) {
    slow.push_back(std::make_unique<Client>(port()));
    slow.back()->send("GET / HT");
    if (i % 250 == 0) expect_alive();
  }
  expect_alive();
  for (const auto& client : slow) client->send("T");
  expect_alive();
}

TEST_F(DashboardTest, DribblingDoesNotProlongTheTime) {
  DashboardServer::Limits limits;
  limits.head_timeout = 400ms;
  start(limits);
  const Client client(port());
  const auto begin = Clock::now();
  bool is_open = true;
  while (is_open && Clock::now() - begin < 5s) {
    is_open = client.send("G");
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_FALSE(is_open);
  EXPECT_LT(Clock::now() - begin, 2s);
}

TEST_F(DashboardTest, ClientsThatDoNotTakeTheirResponseAreLetGo) {
  write("tree/a/report.html", std::string(size_t{32} << 20, 'x'));
  DashboardServer::Limits limits;
  limits.write_timeout = 400ms;
  limits.max_backlog = size_t{100} << 20;
  start(limits);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<Client>(port()));
    clients.back()->send("GET /report?run=a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  }
  expect_alive(5000ms);
  std::this_thread::sleep_for(1s);
  size_t most = 0;
  for (const auto& client : clients) most = std::max(most, client->receive().size());
  EXPECT_LT(most, size_t{32} << 20);
  EXPECT_EQ(get("/report?run=a").body.size(), size_t{32} << 20);
}

TEST_F(DashboardTest, EventsTellOfChanges) {
  start();
  const Client client(port());
  client.send("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const std::string head = client.receive("event: version\n");
  EXPECT_THAT(head, HasSubstr("Content-Type: text/event-stream"));
  append_metrics("a", 1, 1);
  EXPECT_THAT(client.receive("event: version\n"), HasSubstr("event: version\n"));
  make_run("tree/c", "gp");
  EXPECT_THAT(client.receive("event: version\n"), HasSubstr("event: version\n"));
  EXPECT_THAT(get("/api/runs").json().at("runs"), SizeIs(3));
}

TEST_F(DashboardTest, StreamsAreBoundedAndDeadOnesGo) {
  DashboardServer::Limits limits;
  limits.max_streams = 3;
  limits.heartbeat = 100ms;
  start(limits);
  const std::string request = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Client>(port()));
    clients.back()->send(request);
    EXPECT_THAT(clients.back()->receive("data:"), HasSubstr("200 OK"));
  }
  EXPECT_THAT(clients[0]->receive(":\n\n"), HasSubstr(":\n\n"));  // a heartbeat
  Client refused(port());
  refused.send("GET /api/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(refused.receive(), StartsWith("HTTP/1.1 503"));
  expect_alive();
  clients.clear();
  std::this_thread::sleep_for(500ms);
  const Client next(port());
  next.send(request);
  EXPECT_THAT(next.receive("data:"), HasSubstr("200 OK"));
}

TEST_F(DashboardTest, ABusyPortAndAMissingFolderAreUserErrors) {
  start();
  try {
    const Dashboard second(root / "tree", "127.0.0.1", port());
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("port {} of 127.0.0.1 is in use", port())));
    EXPECT_EQ(error.kind(), UserError::Kind::failure);
  }
  EXPECT_THROW(Dashboard(root / "missing", "127.0.0.1", 0), UserError);
  EXPECT_THROW(Dashboard(root / "tree", "no.such.host.invalid", 0), UserError);
  EXPECT_THROW(Dashboard(root / "tree", "192.0.2.1", 0), UserError);  // not this machine's
}

TEST_F(DashboardTest, ItsAddressLeadsToIt) {
  start();
  EXPECT_EQ(dashboard->url(), fmt::format("http://127.0.0.1:{}/", port()));
}

}  // namespace
}  // namespace sgan
