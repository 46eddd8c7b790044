#include "run/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace sgan {
namespace {

// {"a":{"a": … 1 … }}
std::string nested(int depth) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += R"({"a":)";
  return text + "1" + std::string(static_cast<size_t>(depth), '}');
}

TEST(JsonText, ObjectsAreRead) {
  const auto value = parse_json_object(R"( {"b": [1, {"c": null}], "a": "\u00e9"} )");
  EXPECT_EQ(value.dump(), "{\"b\":[1,{\"c\":null}],\"a\":\"\u00e9\"}");
}

TEST(JsonText, WhatIsNoObjectIsNull) {
  for (const char* text : {"", "[]", "1", "null", "{", "{}x", "{\"a\":\"\xff\"}", "{'a':1}"}) {
    EXPECT_TRUE(parse_json_object(text).is_null()) << text;
  }
}

TEST(JsonText, NestingHasALimit) {
  EXPECT_EQ(parse_json_object(nested(kMaxJsonDepth)).dump(), nested(kMaxJsonDepth));
  EXPECT_TRUE(parse_json_object(nested(kMaxJsonDepth + 2)).is_null());
  EXPECT_TRUE(parse_json_object(R"({"a":)" + std::string(10'000'000, '[')).is_null());
}

}  // namespace
}  // namespace sgan
