#pragma once

namespace sgan {

const char* version();   // "0.1.0"
const char* revision();  // of the git tree the program was built from, with "-dirty" where it had changes

}  // namespace sgan
