#include "app/graph_capture.h"

#include "app/device.h"
#include "configs/error.h"

namespace sgan {
namespace {

class CapturedGraph final : public CapturedWork {
 public:
  explicit CapturedGraph(std::unique_ptr<CudaGraph> graph) : graph_(std::move(graph)) {}
  void replay() override { graph_->replay(); }

 private:
  std::unique_ptr<CudaGraph> graph_;
};

class CudaGraphRecorder final : public GraphRecorder {
 public:
  explicit CudaGraphRecorder(std::unique_ptr<CudaStream> stream) : stream_(std::move(stream)) {}

  // Everything else is on the current stream, which therefore waits before and after.
  void rehearse(const std::function<void()>& work) override {
    stream_->wait_for_current();
    stream_->run(work);
    stream_->hold_current();
  }

  std::unique_ptr<CapturedWork> capture(const std::function<void()>& work) override {
    return std::make_unique<CapturedGraph>(stream_->capture(work));
  }

 private:
  std::unique_ptr<CudaStream> stream_;
};

}  // namespace

std::unique_ptr<GraphRecorder> make_graph_recorder(Execution execution, torch::Device device) {
  if (execution == Execution::eager) return nullptr;
  if (!device.is_cpu()) return std::make_unique<CudaGraphRecorder>(cuda_backend()->make_stream(device.index()));
  if (execution == Execution::automatic) return nullptr;
  throw UserError(
      "execution is graph, which captures updates as CUDA graphs, but the device is the CPU. Set execution to auto or "
      "eager, or device to cuda.",
      UserError::Kind::usage);
}

}  // namespace sgan
