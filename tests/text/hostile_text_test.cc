// A million characters of what breaks tokenizers, on a thread with the smallest useful stack: a
// recursion a character deep would crash, and anything quadratic would run into the test's time
// limit.

#include <gtest/gtest.h>
#include <pthread.h>

#include <cstdlib>
#include <functional>

#include "text/tokenizer.h"

namespace octavo {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStack = 512 * 1024;  // its red zones make every frame larger
#else
constexpr size_t kStack = 64 * 1024;
#endif

void on_small_stack(std::function<void()> body) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStack), 0);
  pthread_t thread;
  const auto start = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, start, &body), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

std::string repeated(const std::string& unit, size_t count) {
  std::string text;
  text.reserve(unit.size() * count);
  for (size_t i = 0; i < count; ++i) text += unit;
  return text;
}

std::string noise(size_t size) {
  std::string text(size, '\0');
  uint64_t state = 1;
  for (char& c : text) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    c = static_cast<char>(state >> 56);
  }
  return text;
}

struct Case {
  const char* name;
  std::string text;
};

std::vector<Case> cases() {
  constexpr size_t kMillion = 1'000'000;
  return {{"letters", repeated("A", kMillion)},
          {"spaces", repeated(" ", kMillion)},
          {"underscores", repeated("_", kMillion)},
          {"newlines", repeated("\n", kMillion)},
          {"carets", repeated("^", kMillion)},
          {"digits", repeated("7", kMillion)},
          {"decomposed e", repeated("e\xcc\x81", kMillion / 10)},
          {"accents on one letter", "e" + repeated("\xcc\x81", kMillion / 10)},
          {"spaces before a letter", repeated(" ", kMillion) + "x"},
          {"spaces and letters", repeated(" a", kMillion / 2)},
          {"crlf", repeated("\r\n", kMillion / 2)},
          {"random bytes", noise(kMillion)},
          {"special tokens", repeated("[CLS]<|endoftext|></s>", kMillion / 20)},
          {"nul", std::string(kMillion, '\0')},
          {"joined emoji", repeated("\xf0\x9f\x91\xa9\xe2\x80\x8d", kMillion / 10)}};
}

class HostileText : public testing::TestWithParam<const char*> {};

TEST_P(HostileText, LinearAndWithoutRecursion) {
  std::string file = std::string(OCTAVO_GOLDEN "/tokenizer/") + GetParam() + ".json";
  if (GetParam() == std::string("minilm")) {
    const char* models = std::getenv("OCTAVO_MODELS");
    if (models == nullptr) GTEST_SKIP() << "no real models: OCTAVO_MODELS is not set";
    file = std::string(models) + "/minilm/tokenizer.json";
  }
  const auto tokenizer = Tokenizer::open(file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  for (const Case& c : cases()) {
    on_small_stack([&] {
      const auto cut = tokenizer->encode(c.text, 512);
      ASSERT_TRUE(cut) << c.name << ": " << cut.error().message;
      EXPECT_LE(cut->ids.size(), 512u) << c.name;
      // Whatever was cut, the tokenizer's own last token is still there (llama has a first one).
      const auto own = tokenizer->encode("");
      const bool first = GetParam() == std::string("llama");
      EXPECT_EQ(first ? cut->ids.front() : cut->ids.back(), own->ids.back()) << c.name;
    });
  }
}

INSTANTIATE_TEST_SUITE_P(All, HostileText, testing::Values("minilm", "qwen", "llama", "xlmr"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace octavo
