#pragma once

#include <map>
#include <string>
#include <string_view>

#include "exchange/network_signature.h"
#include "exchange/plain_network.h"

namespace sgan {

// The network as an ONNX model (opset 17, IR version 8): what it computes in eval mode with the plain weights, for
// batches of any size. Norms that ONNX has no operator for are written out.
// Errors: UserError where it would exceed the 2 GiB that such a file may have.
std::string onnx_model(const NetworkImpl& network, const PlainNetwork& plain, const NetworkSignature& signature,
                       const std::map<std::string, std::string>& metadata);

// Whether a file's beginning is that of such a model.
bool is_onnx_model(std::string_view bytes);

}  // namespace sgan
