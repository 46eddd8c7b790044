#pragma once

#include "configs/findings.h"
#include "configs/options.h"
#include "data/dataset.h"

namespace sgan {

// What data_findings() asks of a config's data. least, largest: of the values, as networks take them.
DataFacts data_facts(const Config& config, const Dataset& dataset, double least, double largest);

// The same, the values from a look at a thousand samples, evenly spaced.
DataFacts data_facts(const Config& config, const Dataset& dataset);

}  // namespace sgan
