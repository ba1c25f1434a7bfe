// octavo: the program. Commands are declared in cmd_*.cc and listed in add_commands().

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "cli/commands.h"
#include "cli/help.h"
#include "octavo/version.h"

namespace {

using octavo::cli::Context;

constexpr const char* kDescription =
    R"(Makes embedding models small and fast on ordinary CPUs without breaking them:
imports a snapshot or GGUF to ONNX, smooths and quantizes it to INT8, proves the
result against the original, and embeds text with it.)";

constexpr const char* kFooter =
    R"(Environment:
  OCTAVO_CPU              use these kernels instead of the best this CPU can run
  SOURCE_DATE_EPOCH       date of a change-history entry, seconds since 1970

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
  octavo::cli::add_inspect(app, context);
  octavo::cli::add_bench(app, context);
}

// One argument as a shell would need it.
std::string quoted(const std::string& argument) {
  const bool plain = !argument.empty() && std::all_of(argument.begin(), argument.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string("-_./=:,@%+").find(c) != std::string::npos;
  });
  if (plain) return argument;
  std::string out = "'";
  for (const char c : argument) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

int run(int argc, char** argv) {
  CLI::App app{kDescription, "octavo"};
  app.formatter(std::make_shared<octavo::cli::HelpFormatter>());
  app.set_help_flag("-h,--help", "print this help");
  app.set_version_flag("--version", std::string("octavo ") + octavo::kVersion,
                       "the version, and nothing else");
  app.require_subcommand(1);
  app.footer(kFooter);
  Context context;
  context.command_line = "octavo";
  for (int i = 1; i < argc; ++i) context.command_line += " " + quoted(argv[i]);
  add_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? octavo::cli::kOk : octavo::cli::kUsage;
  }
  return context.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("octavo: out of memory\n", stderr);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "octavo: internal error, please report it: %s\n", e.what());
  }
  return octavo::cli::kFailed;
}
