#pragma once
// The one precompiled header: everything of LibTorch that the project includes by name.
#include <torch/torch.h>
