#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// HTTP/1.1 messages, as far as the dashboard needs them: GET and HEAD without a body.

namespace sgan {

struct HttpRequest {
  std::string method;  // GET or HEAD
  std::string path;    // as sent: no part of it is decoded, because every path that is served is a plain name
  std::vector<std::pair<std::string, std::string>> parameters;  // decoded; no NUL
  std::string host;
  bool keep_alive = true;

  // The first value of that name, or "".
  std::string parameter(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::string policy;              // Content-Security-Policy, or "" for the strictest one
  std::string cache = "no-store";  // Cache-Control
  bool is_stream = false;          // stays open for server-sent events; body is its beginning
};

// A status from 400 on, with what is wrong.
struct HttpError {
  int status;
  std::string text;
};

// The head of a request: its request line and headers with the empty line that ends them.
std::variant<HttpRequest, HttpError> parse_request(std::string_view head);

// The response's bytes. include_body: false for HEAD.
std::string serialize(const HttpResponse& response, bool keep_alive, bool include_body);

HttpResponse text_response(int status, std::string text);

// "%41+b" → "A b"; nothing where the encoding is broken or holds a NUL.
std::optional<std::string> decode_percent(std::string_view text);

}  // namespace sgan
