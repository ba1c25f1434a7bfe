#pragma once
// What every command shares. A command is one file, cmd_<name>.cc, with one add_<name>() that
// declares its flags and its callback; main.cc calls them all. The program, unlike the library,
// prints and exits.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo::cli {

// Exit codes, the same for every command (also in --help).
inline constexpr int kOk = 0;
inline constexpr int kGateFailed = 1;  // the work was done, but a check it asked for did not pass
inline constexpr int kUsage = 2;       // the command line is wrong
inline constexpr int kFailed = 3;      // the work could not be done; the reason is on stderr

struct Context {
  int exit_code = kOk;

  // Draws one line on stderr when that is a terminal, nothing otherwise.
  Progress progress() const;
  // Prints the error to stderr and sets exit_code.
  void fail(const Error& error);
};

// Text for stdout: columns padded to their widest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

void add_import(CLI::App& app, Context& context);
void add_embed(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_build(CLI::App& app, Context& context);

std::string fixed(double value, int decimals);  // "0.98713"
std::string human_bytes(uint64_t bytes);        // "622.3 MB" (powers of ten)

// On stderr, but for those that were said already.
void warn(const std::vector<std::string>& warnings, const std::vector<std::string>& said = {});

void add_quantize(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_smooth(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_evaluate(CLI::App& app, Context& context);
void add_serve(CLI::App& app, Context& context);
void add_pull(CLI::App& app, Context& context);

}  // namespace octavo::cli
