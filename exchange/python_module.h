#pragma once

#include <string>
#include <string_view>

#include "exchange/network_signature.h"
#include "exchange/plain_network.h"

namespace sgan {

// The text of a Python file that needs PyTorch alone: a module class for this one network, whose state has the names of
// plain_network(), a `load` that reads a safetensors file into it, and a `main` that writes it as TorchScript. Plain
// code, so whoever gets it can read what it does, and no pickle.
// module_name: the Python file's name without .py; its weights lie beside it, in <module_name>.safetensors.
std::string python_module(const NetworkImpl& network, const NetworkSignature& signature,
                          const std::string& module_name);

// Whether a file's beginning is that of such a text.
bool is_python_module(std::string_view text);

// Why Python cannot import NAME.py beside PyTorch, as "… is a word of Python"; "" where it can.
std::string module_name_fault(const std::string& name);

}  // namespace sgan
