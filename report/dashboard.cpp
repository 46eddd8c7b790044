#include "report/dashboard.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "comparison/config_entries.h"
#include "report/dashboard_assets.h"
#include "run/json_text.h"
#include "run/step_name.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostRuns = 64;                          // of one request
constexpr uint64_t kLongestDocument = uint64_t{8} << 20;  // bytes of a JSON or YAML file
constexpr uint64_t kLargestImage = uint64_t{64} << 20;
constexpr uint64_t kLargestReport = uint64_t{256} << 20;
constexpr uint64_t kLogPart = uint64_t{1} << 16;
constexpr uint64_t kLogGrowth = uint64_t{1} << 18;

constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// A report may come from anyone. In a sandbox its scripts have an origin of their own and reach nothing here.
constexpr const char* kReportPolicy =
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

HttpResponse json_response(const Json& json) {
  HttpResponse response;
  response.body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

// The parameter as a number within bounds; `otherwise` where it is missing or none.
template <class Number>
Number number(const HttpRequest& request, std::string_view name, Number otherwise, Number least, Number most) {
  const std::string text = request.parameter(name);
  Number value = otherwise;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value != value) return otherwise;
  return std::clamp(value, least, most);
}

// Thrown within a request; the server answers with it.
struct Refusal {
  int status;
  std::string text;
};

std::vector<std::string> run_ids(const HttpRequest& request) {
  auto ids = request.all("run");
  if (ids.empty()) throw Refusal{400, "run=… is missing"};
  if (ids.size() > kMostRuns) throw Refusal{400, fmt::format("at most {} runs at once", kMostRuns)};
  return ids;
}

Json parse_file(const ContainedFolder& files, const std::string& path) {
  return parse_json_object(files.read(path, kLongestDocument).value_or(""));
}

Json points_json(const Curve& curve) {
  return {{"x", curve.x}, {"y", curve.y}};
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address;
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& character : lower) {
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character - 'A' + 'a');
  }
  return lower;
}

// "[::1]:6010" → "::1", "localhost:6010" → "localhost".
std::string without_port(std::string_view host) {
  if (host.starts_with('[')) return lower_case(host.substr(1, host.find(']') - 1));
  return lower_case(host.substr(0, host.find(':')));
}

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? lower_case(name.data()) : "";
}

}  // namespace

bool is_own_host(std::string_view host_header, const std::string& listening) {
  const std::string host = without_port(host_header);
  if (host.empty()) return false;
  if (host == "localhost" || host == "127.0.0.1" || host == "::1" || host == lower_case(listening)) return true;
  const bool is_wildcard = listening == "0.0.0.0" || listening == "::";
  return is_wildcard && (is_address(host) || host == machine_name());
}

Dashboard::Dashboard(const std::filesystem::path& root, const std::string& host, int port,
                     DashboardServer::Limits limits)
    : host_(host),
      instance_(fmt::format("{}-{}", ::getpid(), std::chrono::system_clock::now().time_since_epoch().count())),
      files_(root),
      index_(files_),
      curve_reader_(files_),
      server_(
          host, port, [this](const HttpRequest& request) { return answer(request); }, limits) {
  index_.scan();
}

std::string Dashboard::url() const {
  const bool is_wildcard = host_ == "0.0.0.0" || host_ == "::";
  const std::string name = is_wildcard ? "127.0.0.1" : host_.find(':') != host_.npos ? "[" + host_ + "]" : host_;
  return fmt::format("http://{}:{}/", name, port());
}

void Dashboard::run() {
  std::thread watcher([this] { watch(); });
  server_.run();
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wakes_.notify_all();
  watcher.join();
}

void Dashboard::stop() {
  server_.stop();
}

void Dashboard::watch() {
  using namespace std::chrono_literals;
  std::chrono::nanoseconds pause = 1s;
  std::unique_lock lock(mutex_);
  while (!wakes_.wait_for(lock, pause, [this] { return stopped_; })) {
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    if (index_.scan()) server_.broadcast(fmt::format("event: version\ndata: {}\n\n", index_.version()));
    // A slow disk is not to be kept busy by looking at it.
    pause = std::max<std::chrono::nanoseconds>(1s, 4 * (std::chrono::steady_clock::now() - begin));
    lock.lock();
  }
}

const std::map<std::string_view, Dashboard::Route>& Dashboard::routes() {
  static const std::map<std::string_view, Route> kRoutes = {
      {"/api/runs", &Dashboard::runs},       {"/api/metrics", &Dashboard::metrics},
      {"/api/curves", &Dashboard::curves},   {"/api/samples", &Dashboard::samples},
      {"/api/image", &Dashboard::image},     {"/api/lipschitz", &Dashboard::lipschitz},
      {"/api/configs", &Dashboard::configs}, {"/api/log", &Dashboard::log},
      {"/api/events", &Dashboard::events},   {"/report", &Dashboard::report},
  };
  return kRoutes;
}

HttpResponse Dashboard::answer(const HttpRequest& request) {
  if (!is_own_host(request.host, host_)) {
    return text_response(403, "this server is not what the request calls its host");
  }
  try {
    if (const auto route = routes().find(request.path); route != routes().end()) return (this->*route->second)(request);
  } catch (const Refusal& refusal) {
    return text_response(refusal.status, refusal.text);
  }
  const std::string name = request.path == "/" ? "dashboard.html" : request.path.substr(1);
  const auto asset = dashboard_asset(name);
  if (!asset) return text_response(404, "there is nothing here");
  HttpResponse response;
  response.type = name.ends_with(".js")    ? "text/javascript; charset=utf-8"
                  : name.ends_with(".css") ? "text/css; charset=utf-8"
                                           : "text/html; charset=utf-8";
  response.policy = kPagePolicy;
  response.cache = "no-cache";
  response.body = *asset;
  return response;
}

std::string Dashboard::folder_of(const std::string& id) const {
  const auto folder = index_.folder_of_run(id);
  if (!folder) throw Refusal{404, "there is no such run"};
  return *folder;
}

HttpResponse Dashboard::runs(const HttpRequest& request) {
  const bool knows = request.parameter("instance") == instance_;
  Json json = index_.list(knows ? number<uint64_t>(request, "since", 0, 0, std::numeric_limits<uint64_t>::max()) : 0);
  json["instance"] = instance_;
  json["root"] = files_.root().string();
  json["now"] =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return json_response(json);
}

HttpResponse Dashboard::metrics(const HttpRequest& request) {
  std::set<std::string> names;
  for (const auto& id : run_ids(request)) {
    for (auto& name : curve_reader_.metrics(folder_of(id))) names.insert(std::move(name));
  }
  return json_response({{"metrics", names}});
}

// The runs' curves of one metric, at most `points` each, from…to in the unit of the axis.
HttpResponse Dashboard::curves(const HttpRequest& request) {
  constexpr double kAll = std::numeric_limits<double>::max();
  const auto axis = request.parameter("axis") == "seconds" ? CurveReader::Axis::seconds : CurveReader::Axis::step;
  const double from = number(request, "from", -kAll, -kAll, kAll), to = number(request, "to", kAll, -kAll, kAll);
  const double smoothing = number(request, "smooth", 0.0, 0.0, 0.9999);
  const auto points = number<size_t>(request, "points", 1000, 4, 4000);
  Json curves = Json::array();
  for (const auto& id : run_ids(request)) {
    const auto metric = curve_reader_.read(folder_of(id), request.parameter("metric"), axis);
    Json curve = points_json(decimated(cut(metric.curve, from, to), points));
    curve["run"] = id;
    if (!metric.protocol.empty()) curve["protocol"] = metric.protocol;
    if (smoothing > 0) {
      curve["smooth"] = points_json(decimated(cut(smoothed(metric.curve, smoothing), from, to), points));
    }
    curves.push_back(std::move(curve));
  }
  return json_response({{"metric", request.parameter("metric")}, {"curves", std::move(curves)}});
}

HttpResponse Dashboard::samples(const HttpRequest& request) {
  Json runs = Json::array();
  for (const auto& id : run_ids(request)) {
    const std::string folder = joined(folder_of(id), "samples");
    Json steps = Json::array();
    for (const auto& file : step_files(files_, folder, ".png")) {
      if (file.rest.empty()) steps.push_back(file.step);
    }
    const auto state = files_.state(folder);
    runs.push_back({{"run", id},
                    {"steps", std::move(steps)},
                    {"reals", files_.state(joined(folder, "reals.png")).has_value()},
                    {"version", fmt::format("{:x}", state ? state->modified_ns : 0)}});
  }
  return json_response({{"runs", std::move(runs)}});
}

// The run's sample grid of a step, or its grid of real images (step=reals).
HttpResponse Dashboard::image(const HttpRequest& request) {
  const std::string folder = joined(folder_of(request.parameter("run")), "samples");
  const bool wants_reals = request.parameter("step") == "reals";
  const auto step = number<int64_t>(request, "step", 0, 0, std::numeric_limits<int64_t>::max());
  auto bytes = files_.read(joined(folder, wants_reals ? "reals.png" : step_name(step, ".png")), kLargestImage);
  if (!bytes) throw Refusal{404, "there is no such image"};
  HttpResponse response;
  response.type = "image/png";
  // The page asks with the version that `samples` told.
  response.cache = "private, max-age=600";
  response.body = std::move(*bytes);
  return response;
}

// The run's bracket of a step, or its newest: without the slopes' single values.
HttpResponse Dashboard::lipschitz(const HttpRequest& request) {
  const std::string folder = joined(folder_of(request.parameter("run")), "lipschitz");
  const auto found = step_files(files_, folder, ".json");
  Json steps = Json::array();
  for (const auto& file : found) steps.push_back(file.step);
  Json json = {{"steps", std::move(steps)}, {"bracket", nullptr}};
  const auto step = number<int64_t>(request, "step", -1, -1, std::numeric_limits<int64_t>::max());
  const auto wanted = std::ranges::find(found, step, &StepFile::step);
  if (!found.empty())
    json["bracket"] = parse_file(files_, joined(folder, wanted == found.end() ? found.back().name : wanted->name));
  Json& bracket = json["bracket"];
  if (!bracket.is_object()) {
    bracket = nullptr;
  } else if (bracket.contains("network") && bracket["network"].is_object()) {
    bracket["network"].erase("slopes");
  }
  return json_response(json);
}

// {"keys": [{"key", "values": [one for each run, null where it has none]}], "records": [run.json of each run]}.
HttpResponse Dashboard::configs(const HttpRequest& request) {
  const auto ids = run_ids(request);
  std::vector<std::string> keys;
  std::map<std::string, std::vector<Json>> values;
  Json records = Json::array();
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string folder = folder_of(ids[i]);
    const auto text = files_.read(joined(folder, "config.yaml"), kLongestDocument);
    for (const auto& [key, value] : config_entries(text.value_or(""))) {
      auto& row = values[key];
      if (row.empty()) {
        row.resize(ids.size());
        keys.push_back(key);
      }
      row[i] = value;
    }
    Json record = parse_file(files_, joined(folder, "run.json"));
    records.push_back(record.is_object() ? std::move(record) : Json::object());
  }
  Json rows = Json::array();
  for (const auto& key : keys) rows.push_back({{"key", key}, {"values", values[key]}});
  return json_response({{"keys", std::move(rows)}, {"records", std::move(records)}});
}

// A part of log.txt in whole lines: its end; with end=…, the part before; with start=…, what came after.
// {"start", "end" (bytes of the file), "size", "text"}.
HttpResponse Dashboard::log(const HttpRequest& request) {
  constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
  const auto file = files_.open(joined(folder_of(request.parameter("run")), "log.txt"));
  const uint64_t size = file ? file->state().size : 0;
  uint64_t start = number<uint64_t>(request, "start", kNone, 0, kNone);
  uint64_t end = std::min(size, number<uint64_t>(request, "end", size, 0, kNone));
  const bool goes_on = start <= size;
  if (goes_on) end = std::min(size, start + kLogGrowth);
  if (!goes_on) start = end > kLogPart ? end - kLogPart : 0;
  std::string text = file ? file->read(start, end - start) : "";
  if (!goes_on && start > 0) {  // begins with the first whole line
    const size_t line = text.find('\n');
    if (line != text.npos && line + 1 < text.size()) {
      text.erase(0, line + 1);
      start += line + 1;
    }
  }
  if (end == size || goes_on) {  // a line that is being written comes when it is whole
    const size_t whole = text.rfind('\n');
    if (whole != text.npos) text.resize(whole + 1);
    if (whole == text.npos && goes_on) text.clear();
  }
  return json_response({{"start", start}, {"end", start + text.size()}, {"size", size}, {"text", std::move(text)}});
}

HttpResponse Dashboard::report(const HttpRequest& request) {
  const std::string folder_id = request.parameter("folder");
  std::optional<std::string> folder = index_.folder_of_report(folder_id);
  if (folder_id.empty()) folder = folder_of(request.parameter("run"));
  auto bytes = folder ? files_.read(joined(*folder, "report.html"), kLargestReport) : std::nullopt;
  if (!bytes) throw Refusal{404, "there is no report"};
  HttpResponse response;
  response.type = "text/html; charset=utf-8";
  response.policy = kReportPolicy;
  response.body = std::move(*bytes);
  return response;
}

HttpResponse Dashboard::events(const HttpRequest&) {
  HttpResponse response;
  response.type = "text/event-stream";
  response.is_stream = true;
  response.body = fmt::format("retry: 2000\nevent: version\ndata: {}\n\n", index_.version());
  return response;
}

}  // namespace sgan
