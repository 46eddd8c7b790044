#include "app/version.h"

#include "app/revision.h"

namespace sgan {

const char* version() {
  return SGAN_VERSION;
}
const char* revision() {
  return SGAN_REVISION;
}

}  // namespace sgan
