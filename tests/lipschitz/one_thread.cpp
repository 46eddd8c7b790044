#include <torch/utils.h>

namespace sgan {
namespace {

// The layers of these tests are tiny: a second thread does nothing but wait, and on a busy machine it waits for long.
[[maybe_unused]] const bool kOneThread = (torch::set_num_threads(1), true);

}  // namespace
}  // namespace sgan
