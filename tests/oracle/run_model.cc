// Runs a model on inputs from a safetensors file and writes what came out to another, so that a
// Python program can compare values with its own, or time both.
// usage: oracle_run_model MODEL.onnx INPUTS.safetensors OUTPUTS.safetensors
//        [--values FILE]    names of values to return, one a line; default: the graph's outputs
//        [--repeat N]       prints "seconds <median> <best>" of N further runs
//        [--times]          prints where the time of the last run went, by op and by node
//        [--threads N]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "formats/onnx.h"
#include "formats/safetensors_writer.h"
#include "formats/weights.h"
#include "runtime/session.h"

namespace octavo {
namespace {

struct Arguments {
  std::string model, inputs, outputs, values;
  int repeat = 0;
  int threads = 0;
  bool times = false;
};

Arguments parse(const std::vector<std::string>& all) {
  Arguments a;
  std::vector<std::string*> places = {&a.model, &a.inputs, &a.outputs};
  size_t next = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool more = i + 1 < all.size();
    if (all[i] == "--values" && more) {
      a.values = all[++i];
    } else if (all[i] == "--repeat" && more) {
      a.repeat = std::stoi(all[++i]);
    } else if (all[i] == "--threads" && more) {
      a.threads = std::stoi(all[++i]);
    } else if (all[i] == "--times") {
      a.times = true;
    } else if (next < places.size()) {
      *places[next++] = all[i];
    }
  }
  return a;
}

void print_times(const std::vector<StepTime>& times) {
  std::map<std::string, std::pair<double, int>> by_op;
  double total = 0;
  for (const StepTime& t : times) {
    auto& [seconds, count] = by_op[t.where.substr(0, t.where.find(' '))];
    seconds += t.seconds;
    ++count;
    total += t.seconds;
  }
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [op, entry] : by_op)
    sorted.emplace_back(entry.first, op + " x" + std::to_string(entry.second));
  std::sort(sorted.rbegin(), sorted.rend());
  std::printf("total %.3f ms in %zu steps\n", total * 1e3, times.size());
  for (const auto& [seconds, op] : sorted)
    std::printf("%9.3f ms %5.1f%%  %s\n", seconds * 1e3, 100 * seconds / total, op.c_str());
  std::vector<StepTime> slowest = times;
  std::sort(slowest.begin(), slowest.end(),
            [](const StepTime& a, const StepTime& b) { return a.seconds > b.seconds; });
  for (size_t i = 0; i < std::min<size_t>(slowest.size(), 12); ++i)
    std::printf("%9.3f ms  %8.1f KB  %s\n", slowest[i].seconds * 1e3,
                static_cast<double>(slowest[i].bytes) / 1e3, slowest[i].where.c_str());
}

Status run(const Arguments& a) {
  OCTAVO_TRY(Model model, read_onnx(a.model));
  OCTAVO_TRY(const auto source, open_safetensors(a.inputs));
  OCTAVO_TRY(const Session session,
             Session::create(std::move(model), {.pool = nullptr, .threads = a.threads}));
  std::vector<Feed> feeds;
  for (const WeightEntry& entry : source->entries()) {
    OCTAVO_TRY(Tensor t, source->load_as_stored(entry.name));
    feeds.emplace_back(entry.name, std::move(t));
  }
  RunOptions options;
  std::vector<std::string> names;
  if (!a.values.empty()) {
    std::ifstream file(a.values);
    for (std::string line; std::getline(file, line);) options.outputs.push_back(line);
    names = options.outputs;
  } else {
    for (const ValueInfo& v : session.graph().outputs) names.push_back(v.name);
  }
  OCTAVO_TRY(const auto results, session.run(feeds, options));
  std::vector<double> seconds;
  std::vector<StepTime> times;
  for (int i = 0; i < a.repeat; ++i) {
    times.clear();
    if (a.times && i + 1 == a.repeat) options.times = &times;
    const auto start = std::chrono::steady_clock::now();
    OCTAVO_CHECK(session.run(feeds, options));
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  if (!seconds.empty()) {
    std::sort(seconds.begin(), seconds.end());
    std::printf("seconds %.6f %.6f\n", seconds[seconds.size() / 2], seconds[0]);
  }
  if (a.times) print_times(times);
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < results.size(); ++i)
    specs.push_back({names[i], results[i].dtype(), results[i].shape()});
  OCTAVO_TRY(auto writer, SafetensorsWriter::create(a.outputs, std::move(specs)));
  for (const Tensor& t : results) OCTAVO_CHECK(writer.write(t.bytes()));
  return writer.commit();
}

}  // namespace
}  // namespace octavo

int main(int argc, char** argv) {
  const octavo::Arguments arguments = octavo::parse({argv + 1, argv + argc});
  if (arguments.outputs.empty()) return 2;
  const octavo::Status status = octavo::run(arguments);
  if (status) return 0;
  std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return 1;
}
