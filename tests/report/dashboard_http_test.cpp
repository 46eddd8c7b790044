#include "report/dashboard_http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr std::string_view kHost = "Host: localhost\r\n\r\n";

HttpRequest request(const std::string& head) {
  const auto parsed = parse_request(head);
  const auto* request = std::get_if<HttpRequest>(&parsed);
  EXPECT_NE(request, nullptr) << head;
  return request != nullptr ? *request : HttpRequest{};
}

int refusal(const std::string& head) {
  const auto parsed = parse_request(head);
  const auto* error = std::get_if<HttpError>(&parsed);
  return error != nullptr ? error->status : 200;
}

TEST(DashboardHttp, ARequestIsTakenApart) {
  const HttpRequest got = request(
      "GET /a%2F?run=a+b%41&run=&x HTTP/1.1\r\nHOST: \t localhost:80 \r\nConnection: Close\r\nAccept: */*\r\n\r\n");
  EXPECT_EQ(got.method, "GET");
  EXPECT_EQ(got.path, "/a%2F");
  EXPECT_THAT(got.parameters, ElementsAre(Pair("run", "a bA"), Pair("run", ""), Pair("x", "")));
  EXPECT_EQ(got.host, "localhost:80");
  EXPECT_FALSE(got.keep_alive);
  EXPECT_TRUE(request(fmt::format("HEAD / HTTP/1.1\r\n{}", kHost)).keep_alive);
  EXPECT_FALSE(request(fmt::format("HEAD / HTTP/1.0\r\n{}", kHost)).keep_alive);
  EXPECT_THAT(request(fmt::format("GET /? HTTP/1.1\r\n{}", kHost)).parameters, IsEmpty());
}

TEST(DashboardHttp, WhatIsNoSuchRequestIsRefused) {
  const auto with = [](std::string_view line) { return fmt::format("{}\r\n{}", line, kHost); };
  for (const char* line : {"", "GET", "GET /", "GET  / HTTP/1.1", "GET x HTTP/1.1", "GET / HTP/1.1",
                           "GET /\x7f HTTP/1.1", "GET /?%4 HTTP/1.1", "GET /?%00 HTTP/1.1", "GET /?%+1 HTTP/1.1"}) {
    EXPECT_EQ(refusal(with(line)), 400) << line;
  }
  EXPECT_EQ(refusal(with("GET / HTTP/2.0")), 505);
  EXPECT_EQ(refusal(with("GET / HTTP/1.1 ")), 505);
  EXPECT_EQ(refusal(with("POST / HTTP/1.1")), 405);
  for (const char* header : {"Host: again", "no colon", ": no name", "A : b", " folded: a", "A: \x01"}) {
    EXPECT_EQ(refusal(with(fmt::format("GET / HTTP/1.1\r\n{}", header))), 400) << header;
  }
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 400);
  EXPECT_EQ(refusal(with("GET / HTTP/1.1\r\nTransfer-Encoding: chunked")), 413);
  EXPECT_EQ(refusal(with("GET / HTTP/1.1\r\nContent-Length: 1")), 413);
  EXPECT_EQ(refusal(with("GET / HTTP/1.1\r\nContent-Length: 0")), 200);
}

TEST(DashboardHttp, ParametersAreCounted) {
  std::string query = "a";
  for (int i = 1; i < 256; ++i) query += "&a";
  const auto with = [](const std::string& text) { return fmt::format("GET /?{} HTTP/1.1\r\n{}", text, kHost); };
  EXPECT_EQ(request(with(query)).parameters.size(), 256U);
  EXPECT_EQ(refusal(with(query + "&a")), 414);
}

}  // namespace
}  // namespace sgan
