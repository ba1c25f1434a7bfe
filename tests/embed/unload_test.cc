// dlopen, embed, dlclose, again and again: no thread, no handler of fork and no memory is left that
// would run code which is gone.

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "embed/raised_folder.h"

namespace octavo {
namespace {

class Unload : public RaisedFolder {};

size_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST_F(Unload, TheLibraryComesAndGoes) {
  const std::string text = texts(5, 150)[4];
  const auto wanted = open(folder_ / "int8").embed(Texts{text});
  ASSERT_TRUE(wanted);
  const size_t threads = threads_of_this_process();
  for (int round = 0; round < 3; ++round) {
    void* library = dlopen(OCTAVO_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    const auto embed = reinterpret_cast<bool (*)(const char*, const char*, float*, size_t)>(
        dlsym(library, "plugin_embed"));
    ASSERT_NE(embed, nullptr);
    std::array<float, 64> got{};
    ASSERT_TRUE(embed((folder_ / "int8").c_str(), text.c_str(), got.data(), got.size()));
    EXPECT_TRUE(std::equal(wanted->values.begin(), wanted->values.end(), got.begin()));
    ASSERT_EQ(dlclose(library), 0);
    EXPECT_EQ(threads_of_this_process(), threads);
    const pid_t child = fork();  // runs whatever was registered for it
    ASSERT_GE(child, 0);
    if (child == 0) _exit(0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
}

}  // namespace
}  // namespace octavo
