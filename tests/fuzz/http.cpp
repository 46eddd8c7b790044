// The head of a request to the dashboard.

#include <algorithm>
#include <string>
#include <variant>

#include <fmt/format.h>

#include "report/dashboard_http.h"
#include "tests/fuzz/fuzz.h"

namespace {

std::string encode(const std::string& text) {
  std::string encoded;
  for (const char c : text) encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return encoded;
}

// The request as a client writes it.
std::string head_of(const sgan::HttpRequest& request) {
  std::string query;
  for (const auto& [name, value] : request.parameters) {
    query += fmt::format("{}{}={}", query.empty() ? "" : "&", encode(name), encode(value));
  }
  return fmt::format("{} {}{}{} HTTP/1.1\r\nHost: {}\r\nConnection: {}\r\n\r\n", request.method, request.path,
                     request.parameters.empty() ? "" : "?", query, request.host,
                     request.keep_alive ? "keep-alive" : "close");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  const std::string_view head = text_of(data, size);
  const auto parsed = parse_request(head);
  if (const auto* error = std::get_if<HttpError>(&parsed)) {
    require(error->status >= 400 && error->status <= 505 && !error->text.empty(), "a refusal has a status and a text");
    const std::string response = serialize(text_response(error->status, error->text), false, true);
    require(response.starts_with(fmt::format("HTTP/1.1 {} ", error->status)), "it is a response");
    require(response.find(" Error\r\n") == response.npos, "its status has a reason");
    return 0;
  }
  const auto& request = std::get<HttpRequest>(parsed);
  const auto is_control = [](unsigned char c) { return c < 0x20 && c != '\t'; };
  require(request.method == "GET" || request.method == "HEAD", "only GET and HEAD pass");
  require(request.path.starts_with('/') && request.path.find_first_of(" ?") == request.path.npos, "the path is one");
  require(std::ranges::none_of(request.path, is_control), "the path has no control characters");
  require(std::ranges::none_of(request.host, is_control), "the host has no control characters");
  require(request.parameters.size() <= 256, "parameters have a limit");
  size_t bytes = request.path.size() + request.host.size();
  for (const auto& [name, value] : request.parameters) {
    bytes += name.size() + value.size();
    require((name + value).find('\0') == std::string::npos, "parameters hold no NUL");
    require(!request.all(name).empty() && request.all(name).front() == request.parameter(name), "they are found");
  }
  require(bytes <= size, "a request is no longer than what was sent");

  const auto again = parse_request(head_of(request));
  require(std::holds_alternative<HttpRequest>(again), "what was understood is understood again");
  const auto& same = std::get<HttpRequest>(again);
  require(same.method == request.method && same.path == request.path && same.host == request.host &&
              same.keep_alive == request.keep_alive && same.parameters == request.parameters,
          "and is the same");
  return 0;
}
