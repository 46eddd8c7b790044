#include "run/event_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "configs/error.h"
#include "run/crc32c.h"

namespace sgan {
namespace {

// The fields' numbers are those of tensorflow/core/util/event.proto, framework/summary.proto, framework/tensor.proto
// and tensorboard/plugins/hparams/{plugin_data,api}.proto.

template <class Number>
std::string little_endian(Number value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  return bytes;
}

// A checksum that is stored beside what it covers is rotated and shifted, lest a checksum of both be degenerate.
std::string masked_checksum(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian(((crc >> 15) | (crc << 17)) + 0xa282ead8U);
}

// TFRecord: the length and its checksum, the bytes and theirs.
std::string record(std::string_view bytes) {
  const std::string length = little_endian(static_cast<uint64_t>(bytes.size()));
  return length + masked_checksum(length) + std::string(bytes) + masked_checksum(bytes);
}

ProtobufMessage event(double wall_time, int64_t step) {
  ProtobufMessage message;
  message.number(1, wall_time);
  if (step != 0) message.integer(2, step);
  return message;
}

// What tells TensorBoard which page a value belongs to.
ProtobufMessage plugin(std::string_view name, std::string_view content = {}) {
  ProtobufMessage data;
  data.text(1, name);
  if (!content.empty()) data.text(2, content);
  return std::move(ProtobufMessage().message(1, data));
}

ProtobufMessage hparam_value(const HyperParameter& value) {  // google.protobuf.Value
  ProtobufMessage message;
  if (const auto* number = std::get_if<double>(&value)) message.number(2, *number);
  if (const auto* text = std::get_if<std::string>(&value)) message.text(3, *text);
  if (const auto* flag = std::get_if<bool>(&value)) message.integer(4, *flag ? 1 : 0);
  return message;
}

// api.proto's DataType.
int64_t hparam_type(const HyperParameter& value) {
  enum { kString = 1, kBool = 2, kFloat64 = 3 };
  if (std::holds_alternative<std::string>(value)) return kString;
  return std::holds_alternative<bool>(value) ? kBool : kFloat64;
}

int64_t hparam_status(SessionEnd end) {
  enum { kUnknown = 0, kSuccess = 1, kFailure = 2, kRunning = 3 };
  switch (end) {
    case SessionEnd::success:
      return kSuccess;
    case SessionEnd::failure:
      return kFailure;
    case SessionEnd::running:
      return kRunning;
  }
  return kUnknown;
}

ProtobufMessage hparams_summary(std::string_view tag, uint32_t field, const ProtobufMessage& data) {
  ProtobufMessage content;
  content.message(field, data);
  // The page reads the metadata alone, but a value must have a tensor: floats, none of them.
  ProtobufMessage shape;
  shape.message(2, {});  // a dimension of 0, the default
  ProtobufMessage empty;
  empty.integer(1, 1).message(2, shape);
  return std::move(ProtobufMessage().text(1, tag).message(8, empty).message(9, plugin("hparams", content.bytes())));
}

}  // namespace

double Histogram::count() const {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

Histogram histogram_of(std::span<const double> values, int64_t buckets) {
  Histogram result;
  bool any = false;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    result.min = any ? std::min(result.min, value) : value;
    result.max = any ? std::max(result.max, value) : value;
    result.sum += value;
    result.sum_squares += value * value;
    any = true;
  }
  if (!any) return result;
  if (result.min == result.max) buckets = 1;
  const double width = (result.max - result.min) / static_cast<double>(buckets);
  for (int64_t i = 1; i < buckets; ++i) result.limits.push_back(result.min + static_cast<double>(i) * width);
  result.limits.push_back(result.max);
  result.counts.resize(static_cast<size_t>(buckets));
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    const auto bucket = std::ranges::lower_bound(result.limits, value) - result.limits.begin();
    ++result.counts[static_cast<size_t>(std::min<int64_t>(bucket, buckets - 1))];
  }
  return result;
}

std::vector<HyperParameterColumns::Parameter> parameters_of(std::span<const HyperParameters> runs) {
  struct Values {
    size_t runs = 0;
    HyperParameter first;
    bool differs = false;
    bool of_one_type = true;
  };
  std::map<std::string, Values> all;
  for (const auto& run : runs) {
    for (const auto& [name, value] : run) {
      auto& values = all[name];
      if (values.runs++ == 0) values.first = value;
      values.differs = values.differs || value != values.first;
      values.of_one_type = values.of_one_type && value.index() == values.first.index();
    }
  }
  std::vector<HyperParameterColumns::Parameter> parameters;
  for (const auto& [name, values] : all) {
    const bool differs = values.differs || values.runs < runs.size();
    parameters.push_back({name, "", values.of_one_type ? values.first : HyperParameter(std::string()), differs});
  }
  return parameters;
}

EventFile::EventFile(const std::filesystem::path& path, double wall_time)
    : file_(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND) {
  write(std::move(ProtobufMessage().number(1, wall_time).text(3, "brain.Event:2")));
}

EventFile EventFile::append_to(const std::filesystem::path& path) {
  return EventFile(FileDescriptor(path, O_WRONLY | O_APPEND));
}

void EventFile::write(const ProtobufMessage& message) {
  file_.write(record(message.bytes()));
}

void EventFile::write_summary(int64_t step, double wall_time, const ProtobufMessage& value) {
  write(event(wall_time, step).message(5, ProtobufMessage().message(1, value)));
}

void EventFile::restart(int64_t step, double wall_time) {
  constexpr int64_t kStart = 1;
  write(event(wall_time, step).message(7, ProtobufMessage().integer(1, kStart)));
}

void EventFile::scalar(std::string_view tag, int64_t step, double wall_time, double value) {
  write_summary(step, wall_time, ProtobufMessage().text(1, tag).single(2, static_cast<float>(value)));
}

void EventFile::image(std::string_view tag, int64_t step, double wall_time, std::string_view png) {
  const auto size = png_size(png);
  if (!size) throw UserError("an image for TensorBoard is no PNG file");
  constexpr int64_t kRgb = 3;
  ProtobufMessage image;
  image.integer(1, size->second).integer(2, size->first).integer(3, kRgb).text(4, png);
  write_summary(step, wall_time, ProtobufMessage().text(1, tag).message(4, image));
}

void EventFile::histogram(std::string_view tag, int64_t step, double wall_time, const Histogram& values) {
  ProtobufMessage histogram;
  histogram.number(1, values.min).number(2, values.max).number(3, values.count()).number(4, values.sum);
  histogram.number(5, values.sum_squares).numbers(6, values.limits).numbers(7, values.counts);
  write_summary(step, wall_time, ProtobufMessage().text(1, tag).message(5, histogram));
}

void EventFile::text(std::string_view tag, int64_t step, double wall_time, std::string_view markdown) {
  constexpr int64_t kString = 7;
  ProtobufMessage shape;
  shape.message(2, ProtobufMessage().integer(1, 1));
  ProtobufMessage tensor;
  tensor.integer(1, kString).message(2, shape).text(8, markdown);
  write_summary(step, wall_time, ProtobufMessage().text(1, tag).message(8, tensor).message(9, plugin("text")));
}

void EventFile::session_start(const HyperParameters& values, double begun) {
  ProtobufMessage start;
  for (const auto& [key, value] : values) {
    start.message(1, ProtobufMessage().text(1, key).message(2, hparam_value(value)));
  }
  // No group_name: a group of its own, under its folder's name. TensorBoard would average the runs of one group.
  start.number(5, begun);
  write_summary(0, begun, hparams_summary("_hparams_/session_start_info", 3, start));
}

void EventFile::session_end(SessionEnd end, double wall_time, std::optional<double> ended) {
  ProtobufMessage finish;
  finish.integer(1, hparam_status(end));
  if (ended) finish.number(2, *ended);
  write_summary(0, wall_time, hparams_summary("_hparams_/session_end_info", 4, finish));
}

void EventFile::columns(const HyperParameterColumns& columns) {
  ProtobufMessage experiment;
  experiment.number(3, columns.begun);  // time_created_secs
  for (const auto& parameter : columns.parameters) {
    ProtobufMessage info;
    info.text(1, parameter.name);
    if (!parameter.shown.empty()) info.text(2, parameter.shown);
    info.integer(4, hparam_type(parameter.kind));
    if (parameter.differs) info.integer(7, 1);
    experiment.message(4, info);
  }
  for (const auto& metric : columns.metrics) {
    experiment.message(5, ProtobufMessage().message(1, ProtobufMessage().text(2, metric)));
  }
  write_summary(0, columns.begun, hparams_summary("_hparams_/experiment", 2, experiment));
}

std::optional<std::pair<int64_t, int64_t>> png_size(std::string_view png) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  constexpr size_t kWidth = 16;  // after the first chunk's length and name
  if (!png.starts_with(kSignature) || png.size() < kWidth + 8) return std::nullopt;
  const auto big_endian = [png](size_t at) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(png[at + i]);
    return value;
  };
  return std::pair(big_endian(kWidth), big_endian(kWidth + 4));
}

}  // namespace sgan
