// Octavo as one more engine of bench/peers: the protocol of worker.py, from token ids (or, with
// --texts, strings) to pooled vectors in memory.
//
//   bench_octavo_worker MODEL_FOLDER WORKLOADS.json THREADS [--texts]

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "embed/encoder.h"
#include "embed/model_dir.h"
#include "formats/json.h"
#include "octavo/embedder.h"
#include "octavo/version.h"

namespace {

using nlohmann::json;
using octavo::Result;
using Clock = std::chrono::steady_clock;

constexpr const char* kArrangement = "all at once";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Peak and present resident memory, and what of it is no file, in bytes.
void add_memory(json& out) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    for (const auto& [name, key] : {std::pair{"VmHWM:", "peak"}, std::pair{"VmRSS:", "resident"},
                                    std::pair{"RssAnon:", "anonymous"}}) {
      if (line.starts_with(name))
        out[key] = std::stoull(line.substr(std::char_traits<char>::length(name))) * 1024;
    }
  }
}

void answer(json value) {
  add_memory(value);
  std::cout << value.dump() << std::endl;
}

// One of the two: ids go to the encoder, texts to the embedder.
struct Engine {
  std::unique_ptr<octavo::Encoder> encoder;
  std::unique_ptr<octavo::Embedder> embedder;
  size_t positions = 0;

  static Result<Engine> open(const std::string& folder, int threads, bool texts) {
    Engine engine;
    OCTAVO_TRY(const octavo::ModelDir dir, octavo::read_model_dir(folder));
    engine.positions = dir.positions;
    if (texts) {
      OCTAVO_TRY(octavo::Embedder embedder, octavo::Embedder::open(folder, {.threads = threads}));
      engine.embedder = std::make_unique<octavo::Embedder>(std::move(embedder));
    } else {
      octavo::EncoderOptions options;
      options.pool = std::make_shared<octavo::ThreadPool>(threads);
      options.exact_onnx = false;
      options.positions = dir.positions;
      OCTAVO_TRY(octavo::Encoder encoder,
                 octavo::Encoder::open(dir.model_file, dir.pooling, options));
      engine.encoder = std::make_unique<octavo::Encoder>(std::move(encoder));
    }
    return engine;
  }

  Result<std::vector<float>> run(const json& workload, double& seconds) const {
    if (embedder) {
      const auto texts = workload.at("texts").get<std::vector<std::string>>();
      const auto start = Clock::now();
      OCTAVO_TRY(octavo::Embeddings embeddings, embedder->embed(texts, {.max_length = positions}));
      seconds = seconds_since(start);
      return std::move(embeddings.values);
    }
    const auto ids = workload.at("ids").get<std::vector<std::vector<int64_t>>>();
    const auto start = Clock::now();
    OCTAVO_TRY(std::vector<float> vectors, encoder->encode(ids));
    seconds = seconds_since(start);
    return vectors;
  }
};

// "run WORKLOAD<tab>ARRANGEMENT", "vectors WORKLOAD<tab>ARRANGEMENT<tab>FILE"
json serve(const std::string& line, const json& workloads, const Engine& engine) {
  const size_t space = line.find(' ');
  const size_t tab = line.find('\t');
  if (space == std::string::npos || tab == std::string::npos) return {{"error", "no such request"}};
  const auto workload = workloads.find(line.substr(space + 1, tab - space - 1));
  if (workload == workloads.end()) return {{"error", "no such workload"}};
  double seconds = 0;
  const auto vectors = engine.run(*workload, seconds);
  if (!vectors) return {{"error", vectors.error().message}};
  if (line.starts_with("vectors ")) {
    std::ofstream file(line.substr(line.rfind('\t') + 1), std::ios::binary);
    file.write(reinterpret_cast<const char*>(vectors->data()),
               static_cast<std::streamsize>(vectors->size() * sizeof(float)));
  }
  return {{"seconds", seconds}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: bench_octavo_worker MODEL_FOLDER WORKLOADS.json THREADS [--texts]\n";
    return 2;
  }
  const auto start = Clock::now();
  const auto engine =
      Engine::open(argv[1], std::stoi(argv[3]), argc > 4 && std::string(argv[4]) == "--texts");
  if (!engine) {
    answer({{"error", engine.error().message}});
    return 3;
  }
  answer({{"load_s", seconds_since(start)},
          {"import_s", 0},
          {"versions", {{"octavo", octavo::kVersion}}},
          {"arrangements", json::array({kArrangement})}});
  const auto document = octavo::read_json(argv[2]);
  if (!document) {
    answer({{"error", document.error().message}});
    return 3;
  }
  const json& workloads = document->at("workloads");
  for (std::string line; std::getline(std::cin, line);) answer(serve(line, workloads, *engine));
  return 0;
}
