#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

namespace sgan {

// The SHA-256 digest (FIPS 180-4) of a message that arrives in pieces.
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  // Ends the message: 64 lower-case hexadecimal digits.
  std::string hex();

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace sgan
