// octavo: the program. Commands are declared in cmd_*.cc and listed in add_commands().

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "base/unfinished.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "octavo/version.h"

namespace {

using octavo::cli::Context;

constexpr const char* kDescription =
    R"(Makes embedding models small and fast on ordinary CPUs without breaking them:
imports a snapshot or GGUF to ONNX, smooths and quantizes it to INT8, proves the
result against the original, embeds text with it, and serves it over HTTP.)";

constexpr const char* kFooter =
    R"(Environment:
  OCTAVO_CACHE            folder for the packed weights that embed keeps; else
                          XDG_CACHE_HOME/octavo, or ~/.cache/octavo
  OCTAVO_CPU              use these kernels instead of the best this CPU can run
  SOURCE_DATE_EPOCH       date of a change-history entry, seconds since 1970
  HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE
                          the hub of org/name: its address, who asks, the cache,
                          not to ask it at all; HTTPS_PROXY for proxies

Exit codes: 0 done; 1 a check that was asked for did not pass; 2 wrong usage;
3 the work failed (the reason is on stderr).)";

// The whole recipe first, then its steps in order.
void add_commands(CLI::App& app, Context& context) {
  octavo::cli::add_build(app, context);
  octavo::cli::add_import(app, context);
  octavo::cli::add_smooth(app, context);
  octavo::cli::add_quantize(app, context);
  octavo::cli::add_verify(app, context);
  octavo::cli::add_evaluate(app, context);
  octavo::cli::add_embed(app, context);
  octavo::cli::add_serve(app, context);
  octavo::cli::add_inspect(app, context);
  octavo::cli::add_bench(app, context);
  octavo::cli::add_pull(app, context);
}

// What nobody took of a command's arguments: the first unknown option, else, when `words` count,
// the first argument too many; `otherwise` without either. Behind "--" there are no options.
std::string unknown_in(const std::vector<std::string>& rest, bool words, std::string otherwise) {
  const auto end = std::find(rest.begin(), rest.end(), "--");
  const auto option = std::find_if(rest.begin(), end,
                                   [](const std::string& word) { return word.starts_with('-'); });
  if (option != end) return *option + ": no such option";
  if (!words) return otherwise;
  const auto word =
      std::find_if(rest.begin(), rest.end(), [](const std::string& one) { return one != "--"; });
  return word == rest.end() ? otherwise : *word + ": one argument too many";
}

// What CLI11 says, with the command it belongs to; and what it cannot say about no command at all.
std::string usage_error(const CLI::App* app, const CLI::Error& error) {
  std::string name = app->get_name();
  std::string message = error.what();
  if (const auto parsed = app->get_subcommands(); !parsed.empty()) {
    name += " " + parsed.front()->get_name();
    // What nobody knows comes before what is missing: it may be a misspelt form of that.
    // By its code: CLI11 2.1 gives this error the name of the command.
    const bool extras = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
    if (extras || error.get_name() == "RequiredError")
      message = unknown_in(parsed.front()->remaining(), extras, message);
  } else if (error.get_name() == "RequiredError") {
    const auto rest = app->remaining();
    message = "needs a command";
    if (!rest.empty())
      message = rest.front() + ": no such " + (rest.front()[0] == '-' ? "option" : "command");
    std::string commands;
    for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; }))
      commands += (commands.empty() ? "" : ", ") + command->get_name();
    message += "; the commands are " + commands;
  }
  return name + ": " + message + "\nRun " + name + " --help for more information.\n";
}

// What was printed may still be in the buffer: whether it arrived is known only now.
int finish_output(const Context& context) {
  errno = 0;
  bool arrived = std::fflush(stdout) == 0;
  if (arrived && std::ferror(stdout) == 0) return context.exit_code;
  // An earlier write failed and its reason is gone; one byte more of what is cut anyway asks again.
  if (arrived) arrived = ::write(STDOUT_FILENO, "\n", 1) == 1;
  // Said already by a command that looked itself.
  if (context.exit_code != octavo::cli::kFailed)
    std::fprintf(stderr, "octavo: standard output: %s\n",
                 arrived || errno == 0 ? "not everything could be written" : std::strerror(errno));
  return octavo::cli::kFailed;
}

int run(int argc, char** argv) {
  CLI::App app{kDescription, "octavo"};
  app.formatter(std::make_shared<octavo::cli::HelpFormatter>());
  app.set_help_flag("-h,--help", "print this help");
  app.set_version_flag("--version", std::string("octavo ") + octavo::kVersion,
                       "the version, and nothing else");
  app.require_subcommand(1);
  app.failure_message(usage_error);
  app.footer(kFooter);
  Context context;
  add_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // Help and version through stdio, too: std::cout flushes, and loses the reason of a failure.
    std::ostringstream out;
    if (app.exit(e, out) != 0) return octavo::cli::kUsage;
    std::fputs(out.str().c_str(), stdout);
  }
  return finish_output(context);
}

}  // namespace

int main(int argc, char** argv) {
  octavo::cli::clean_up_when_interrupted();
  try {
    const int code = run(argc, argv);
    // Interrupted in the last moment: the signal ends the program, and this waits for it.
    const auto hold = octavo::hold_unfinished();
    return code;
  } catch (const std::bad_alloc&) {
    std::fputs("octavo: out of memory\n", stderr);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "octavo: internal error, please report it: %s\n", e.what());
  }
  return octavo::cli::kFailed;
}
