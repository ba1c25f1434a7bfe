#include "toolkit/quantize_protect.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "embed/model_dir.h"
#include "text/tokenizer.h"
#include "toolkit/calibrate.h"
#include "toolkit/judgement.h"
#include "toolkit/protection.h"
#include "toolkit/score.h"
#include "toolkit/text_file.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// As QuantizeReport names nodes.
const std::string& label_of(const Node& node) {
  return node.name.empty() ? node.outputs[0] : node.name;
}

// Nodes that read the same input are quantized together, so they are protected together.
struct Sites {
  std::vector<ProtectionSite> sites;
  std::vector<std::vector<std::string>> nodes;
  // Initializers of the quantized model that the nodes read.
  std::vector<std::set<std::string>> weights;
  std::set<std::string> fixed;              // the same for the nodes that have 16 bits anyway
  double products = 0, fixed_products = 0;  // of all, and of those
};

Result<Sites> find_sites(const Model& model, QuantizeDynamicOptions how) {
  std::map<std::string, std::string> input_of;
  const auto fixed = how.protect;
  how.protect = [&](const Node& node) {
    if (!fixed || !fixed(node)) input_of[label_of(node)] = node.inputs[0];
    return false;
  };
  OCTAVO_TRY(const QuantizedModel dry, quantize_dynamic(model, how));
  Sites out;
  std::map<std::string, size_t> at;
  for (const QuantizeReport::Quantized& q : dry.report.quantized) {
    const auto input = input_of.find(q.node);
    const std::string weight = q.weight + "_quantized";
    const double products = static_cast<double>(q.weight_bytes_before) / sizeof(float);
    out.products += products;
    if (input == input_of.end()) {
      out.fixed.insert(weight);
      out.fixed_products += products;
      continue;
    }
    const auto [site, added] = at.emplace(input->second, out.sites.size());
    if (added) {
      out.sites.push_back({q.node, 0});
      out.nodes.emplace_back();
      out.weights.emplace_back();
    }
    out.sites[site->second].products += products;
    out.nodes[site->second].push_back(q.node);
    out.weights[site->second].insert(weight);
  }
  if (out.sites.empty())
    return Error{Code::invalid_input, "there is no quantized MatMul left to protect"};
  return out;
}

ProtectReport::Quality quality_of(std::vector<double> losses) {
  for (double& loss : losses) loss = 1 - loss;
  const Score cosines = summarize(std::move(losses));
  return {cosines.min, cosines.p5, cosines.mean};
}

}  // namespace

Result<SharedTexts> share_of_texts(const fs::path& folder, const fs::path& calibration,
                                   size_t max_length, TextShare share) {
  OCTAVO_TRY(const ModelDir settings, read_model_dir(folder));
  std::vector<std::string> own;
  if (!calibration.empty()) {
    OCTAVO_TRY(own, read_text_file(calibration));
  }
  const std::span<const std::string> texts =
      own.empty() ? default_calibration_texts() : std::span<const std::string>(own);
  OCTAVO_TRY(const Tokenizer tokenizer,
             Tokenizer::open(settings.tokenizer_file).within(folder.string()));
  size_t length = max_length;
  if (settings.positions != 0) length = std::min(length, settings.positions);
  OCTAVO_TRY(auto all, tokenize_all(tokenizer, texts, length));
  if (all.empty()) return Error{Code::invalid_input, "there is no calibration text"};
  SharedTexts out;
  out.total = all.size();
  out.whole = share != TextShare::all && all.size() == 1;
  if (share == TextShare::all || out.whole) {
    out.ids = std::move(all);
    return out;
  }
  for (size_t i = share == TextShare::statistics ? 0 : 1; i < all.size(); i += 2)
    out.ids.push_back(std::move(all[i]));
  return out;
}

Result<ProtectReport> search_protection(const Model& model, const Model& rounded,
                                        const fs::path& file, const QuantizeDynamicOptions& how,
                                        const ProtectSearch& search, const Progress& progress) {
  OCTAVO_TRY(const Sites found, find_sites(rounded, how).within(file.string()));
  fs::path folder = search.tokenizer;
  if (folder.empty()) folder = file.has_parent_path() ? file.parent_path() : ".";
  OCTAVO_TRY(const ModelDir settings, read_model_dir(folder));
  OCTAVO_TRY(const auto texts,
             share_of_texts(folder, search.calibration, search.max_length, TextShare::judgement));

  const auto pool = std::make_shared<ThreadPool>();
  Judgement::Subject subject{.fp32 = model,
                             .texts = texts.ids,
                             .pooling = settings.pooling,
                             .per_token = true,
                             .make = {},
                             .inputs = "protect"};
  for (const auto& nodes : found.nodes)
    for (const std::string& node : nodes) subject.inputs += "\n" + node;
  subject.inputs += how.form.clip ? "\nclip" : "";
  subject.inputs += &rounded != &model ? "\ncompensated, each given all others" : "";
  for (const std::string& weight : found.fixed) subject.inputs += "\nfixed " + weight;
  subject.make = [&](std::span<const double> /*narrow*/) -> Result<Model> {
    QuantizeDynamicOptions options = how;
    options.pool = pool;
    options.protect = {};
    OCTAVO_TRY(QuantizedModel done, quantize_dynamic(rounded, options));
    return std::move(done.model);
  };
  subject.wide = [&](std::span<const double> wide) {
    std::set<std::string> weights = found.fixed;
    for (size_t i = 0; i < wide.size(); ++i)
      if (wide[i] != 0) weights.insert(found.weights[i].begin(), found.weights[i].end());
    return weights;
  };
  OCTAVO_TRY(auto judgement,
             Judgement::create(std::move(subject), search.log, pool).within(file.string()));
  const ProtectionJudge judge = [&](std::span<const double> wide, bool part) {
    return part ? judgement.losses_of_part(wide, kPart) : judgement.losses(wide);
  };
  // Shares are of all products, and nodes that have 16 bits anyway are a part of what is spent.
  const double left = found.products - found.fixed_products;
  const double budget =
      std::max(0.0, search.max_extra_macs * found.products - found.fixed_products) / left;
  const ProtectionGoal goal{search.target_cos, budget, search.evaluations};
  OCTAVO_TRY(const ProtectionChoice choice,
             choose_protection(found.sites, judge, goal, progress).within(file.string()));

  ProtectReport report;
  report.calibration_texts = texts.total;
  for (size_t i = 0; i < found.sites.size(); ++i)
    report.sites.push_back({found.nodes[i], found.sites[i].products / found.products,
                            choice.worth[i], static_cast<bool>(choice.wide[i])});
  report.extra_macs = (choice.extra * left + found.fixed_products) / found.products;
  report.narrow = quality_of(choice.narrow);
  report.chosen = quality_of(choice.chosen);
  report.wide = quality_of(choice.all);
  report.reached = choice.reached;
  report.texts = texts.ids.size();
  report.held_out = !texts.whole;
  return report;
}

}  // namespace octavo
