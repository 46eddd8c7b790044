#include "report/dashboard_http.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

namespace sgan {
namespace {

// Nothing may be loaded, framed or sent anywhere.
constexpr std::string_view kStrictPolicy =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

constexpr size_t kMostParameters = 256;

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

// Cuts the text before the first `mark` off `rest`, and the mark.
std::string_view cut(std::string_view& rest, std::string_view mark) {
  const std::string_view part = rest.substr(0, rest.find(mark));
  rest.remove_prefix(std::min(rest.size(), part.size() + mark.size()));
  return part;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, {}, [](unsigned char c) { return std::tolower(c); }, [](unsigned char c) { return std::tolower(c); });
}

bool is_control(unsigned char byte) {
  return (byte < 0x20 && byte != '\t') || byte == 0x7F;
}

std::string_view without_spaces(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<HttpError> read_query(std::string_view query, HttpRequest& request) {
  while (!query.empty()) {
    std::string_view value = cut(query, "&");
    const std::string_view name = cut(value, "=");
    const auto decoded_name = decode_percent(name), decoded_value = decode_percent(value);
    if (!decoded_name || !decoded_value) return HttpError{400, "broken percent encoding"};
    if (request.parameters.size() == kMostParameters) return HttpError{414, "too many parameters"};
    request.parameters.emplace_back(*decoded_name, *decoded_value);
  }
  return std::nullopt;
}

std::optional<HttpError> read_request_line(std::string_view line, HttpRequest& request) {
  request.method = cut(line, " ");
  const std::string_view target = cut(line, " ");
  if (std::ranges::any_of(target, is_control) || !target.starts_with('/')) return HttpError{400, "not an HTTP request"};
  if (line != "HTTP/1.1" && line != "HTTP/1.0") {
    return line.starts_with("HTTP/") ? HttpError{505, "only HTTP/1.1"} : HttpError{400, "not an HTTP request"};
  }
  if (request.method != "GET" && request.method != "HEAD") return HttpError{405, "only GET and HEAD"};
  request.keep_alive = line == "HTTP/1.1";
  const size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  return mark == target.npos ? std::nullopt : read_query(target.substr(mark + 1), request);
}

std::optional<HttpError> read_header(std::string_view line, HttpRequest& request, int& hosts) {
  if (std::ranges::any_of(line, is_control)) return HttpError{400, "control character in a header"};
  const size_t colon = line.find(':');
  // A space before the colon or at the line's beginning (a folded line) makes proxies and servers disagree.
  if (colon == line.npos || colon == 0 || line.substr(0, colon).find_first_of(" \t") != line.npos) {
    return HttpError{400, "not a header"};
  }
  const std::string_view name = line.substr(0, colon), value = without_spaces(line.substr(colon + 1));
  if (equal_ignoring_case(name, "host")) {
    request.host = value;
    ++hosts;
  } else if (equal_ignoring_case(name, "connection")) {
    if (equal_ignoring_case(value, "close")) request.keep_alive = false;
  } else if (equal_ignoring_case(name, "transfer-encoding") ||
             (equal_ignoring_case(name, "content-length") && value != "0")) {
    return HttpError{413, "a request with a body is not accepted"};
  }
  return std::nullopt;
}

}  // namespace

std::string HttpRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return "";
}

std::vector<std::string> HttpRequest::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : parameters) {
    if (key == name) values.push_back(value);
  }
  return values;
}

std::variant<HttpRequest, HttpError> parse_request(std::string_view head) {
  HttpRequest request;
  if (const auto error = read_request_line(cut(head, "\r\n"), request)) return *error;
  int hosts = 0;
  while (true) {
    const std::string_view line = cut(head, "\r\n");
    if (line.empty()) break;
    if (const auto error = read_header(line, request, hosts)) return *error;
  }
  if (hosts != 1) return HttpError{400, "exactly one Host header is needed"};
  return request;
}

std::string serialize(const HttpResponse& response, bool keep_alive, bool include_body) {
  std::string bytes = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nCache-Control: {}\r\nContent-Security-Policy: {}\r\n"
      "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"
      "Cross-Origin-Opener-Policy: same-origin\r\nX-Frame-Options: DENY\r\nConnection: {}\r\n",
      response.status, reason(response.status), response.type, response.cache,
      response.policy.empty() ? kStrictPolicy : std::string_view(response.policy), keep_alive ? "keep-alive" : "close");
  if (response.status == 405) bytes += "Allow: GET, HEAD\r\n";
  if (!response.is_stream) bytes += fmt::format("Content-Length: {}\r\n", response.body.size());
  bytes += "\r\n";
  if (include_body) bytes += response.body;
  return bytes;
}

HttpResponse text_response(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.type = "text/plain; charset=utf-8";
  response.body = std::move(text) + "\n";
  return response;
}

std::optional<std::string> decode_percent(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    unsigned byte = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16);
    if (error != std::errc() || end != text.data() + i + 3 || byte == 0) return std::nullopt;
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

}  // namespace sgan
