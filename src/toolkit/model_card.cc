#include "toolkit/model_card.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <vector>

#include "base/mapped_file.h"
#include "base/shell.h"
#include "toolkit/html.h"

namespace octavo {

using nlohmann::json;

namespace {

// Text of others inside Markdown: nothing in it may act as markup or end the line.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '\t') {
      out += ' ';
      continue;
    }
    if (std::string_view("\\`*_{}[]<>#|~").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// 1234567 -> "1,234,567"
std::string bytes(uint64_t size) {
  const std::string digits = std::to_string(size);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string row(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const auto& cell : cells) out.append(" ").append(cell).append(" |");
  return out + "\n";
}

std::string quality_row(const char* name, const json& v) {
  std::vector<std::string> cells = {name};
  for (const char* key : {"cos_min", "cos_p1", "cos_p5", "cos_p50", "cos_mean"})
    cells.push_back(fixed_digits(v.at(key).get<double>(), 5));
  return row(cells);
}

std::string verdict(const json& report) {
  const json& quality = report.at("quality");
  const json& variants = quality.at("variants");
  const double smoothed = variants.at("smoothed").at("cos_min").get<double>();
  const double gate = quality.at("min_cos").get<double>();
  std::string out;
  if (quality.at("passed").get<bool>()) {
    out = "**Checked:** the smallest cosine is " + fixed_digits(smoothed, 5) + ", the gate is " +
          fixed_digits(gate, decimals_of(gate, 2)) + ".\n";
  } else {
    out = "**FAILED: do not use `model.int8.onnx`.** Its smallest cosine is " +
          fixed_digits(smoothed, 5) + ", below the gate of " +
          fixed_digits(gate, decimals_of(gate, 2)) + ".\n";
  }
  if (variants.contains("vanilla") && variants.at("vanilla").at("cos_min").get<double>() > smoothed)
    out +=
        "\n**Note:** on these texts `model.int8.vanilla.onnx` is closer to the original than the "
        "smoothed model" +
        std::string(report.at("settings").at("alpha").is_null() ? ".\n" : "; try another alpha.\n");
  return out;
}

// "" where all activations have 8 bits.
std::string wide_sentence(const json& report) {
  const json& quantization = report.at("quantization");
  const size_t wide = quantization.at("wide").size();
  if (wide == 0) return "";
  return std::to_string(wide) + " of " +
         std::to_string(quantization.at("quantized").get<uint64_t>()) +
         " MatMuls read activations of 16 bits, as two bytes, exact in 8-bit products with the "
         "same INT8 weights: " +
         fixed_digits(100 * quantization.at("extra_macs").get<double>(), 1) +
         "% more multiplications, no weight byte more.\n";
}

std::string quality_section(const json& report) {
  const json& quality = report.at("quality");
  const json& variants = quality.at("variants");
  const json& texts = quality.at("texts");
  std::string out = "## Quality\n\n" + verdict(report) + "\n";
  out += row({"model", "cos_min", "p1", "p5", "p50", "cos_mean"}) +
         row({"---", "---", "---", "---", "---", "---"});
  if (variants.contains("imported"))
    out += quality_row("FP32 ONNX before quantization", variants.at("imported"));
  out += quality_row("`model.int8.onnx` (SmoothQuant)", variants.at("smoothed"));
  if (variants.contains("vanilla"))
    out += quality_row("`model.int8.vanilla.onnx`", variants.at("vanilla"));
  out +=
      "\nCosine of each text's embedding with that of the reference, on the same token ids, over " +
      std::to_string(texts.size()) +
      " texts (below). Reference: " + escaped(quality.at("reference").get<std::string>()) +
      ". Percentiles are linear between neighbours, as numpy's default.\n";
  const auto worst = variants.at("smoothed").at("worst").get<size_t>();
  out += "Worst text of the smoothed model: number " + std::to_string(worst + 1) + ".\n" +
         wide_sentence(report);
  for (const auto& note : quality.at("notes"))
    out += "\nNote: " + escaped(note.get<std::string>()) + "\n";
  return out;
}

std::string signed_number(double value) {
  const std::string text = fixed_digits(value, 4);
  return text.starts_with('-') ? text : "+" + text;
}

// "" when the build evaluated nothing.
std::string retrieval_section(const json& report) {
  const json& retrieval = report.at("retrieval");
  if (retrieval.is_null()) return "";
  const json& variants = retrieval.at("variants");
  const json& set = retrieval.at("set");
  std::string out =
      "## Search\n\n" +
      row({"queries", "model", "nDCG@10", "change, 95% interval", "R@10", "same top 10"}) +
      row({"---", "---", "---", "---", "---", "---"});
  const size_t groups = variants.at(0).at("groups").size();
  for (size_t g = 0; g < groups; ++g) {
    for (const json& variant : variants) {
      const json& group = variant.at("groups").at(g);
      if (group.at("by") == "kind") continue;
      const auto name = group.at("name").get<std::string>();
      std::vector<std::string> cells = {group.at("by") == "all" ? "all" : escaped(name),
                                        "`" + variant.at("model").get<std::string>() + "`",
                                        fixed_digits(group.at("ndcg10").get<double>(), 4)};
      if (group.contains("ndcg10_change")) {
        const json& change = group.at("ndcg10_change");
        cells.push_back(signed_number(change.at("mean").get<double>()) + " (" +
                        signed_number(change.at("low").get<double>()) + " to " +
                        signed_number(change.at("high").get<double>()) + ")");
      } else {
        cells.emplace_back("");
      }
      cells.push_back(fixed_digits(group.at("recall10").get<double>(), 4));
      cells.push_back(group.contains("overlap10")
                          ? fixed_digits(group.at("overlap10").get<double>(), 4)
                          : std::string());
      out += row(cells);
    }
  }
  return out + "\nSet " + escaped(set.at("name").get<std::string>()) + ": " +
         bytes(set.at("documents").get<uint64_t>()) + " documents, " +
         bytes(set.at("queries").get<uint64_t>()) +
         " queries. Changes are against the FP32 model; intervals are of a bootstrap of what "
         "queries gain or lose, with random signs.\n\n";
}

std::string files_section(const json& report) {
  std::string out =
      "## Files\n\n" + row({"file", "bytes", "SHA-256"}) + row({"---", "---:", "---"});
  for (const auto& file : report.at("files"))
    out +=
        row({"`" + file.at("name").get<std::string>() + "`", bytes(file.at("size").get<uint64_t>()),
             "`" + file.at("sha256").get<std::string>() + "`"});
  return out +
         "\n`report.html` shows more of what was measured, with plots; `report.json` holds every "
         "number, for programs.\n";
}

std::string use_section(const json& report) {
  const json& use = report.at("use");
  const auto pooling = use.at("pooling").get<std::string>();
  const char* pool = pooling == "mean"  ? "hidden.mean(axis=0)"
                     : pooling == "cls" ? "hidden[0]"
                                        : "hidden[-1]";
  std::string out =
      "## Use\n\nWith octavo:\n\n```sh\noctavo embed . \"a text\" \"another text\"\n"
      "```\n\nWith onnxruntime and tokenizers:\n\n```python\n"
      "import numpy as np, onnxruntime, tokenizers\n\n"
      "tokenizer = tokenizers.Tokenizer.from_file(\"tokenizer.json\")\n"
      "tokenizer.no_padding()\n"
      "tokenizer.enable_truncation(" +
      std::to_string(use.at("max_length").get<uint64_t>()) +
      ")\noptions = onnxruntime.SessionOptions()\n"
      "# CPUs without VNNI: no sums of products that saturate in 16 bits\n"
      "options.add_session_config_entry(\"session.x64quantprecision\", \"1\")\n"
      "session = onnxruntime.InferenceSession(\"model.int8.onnx\", options)\n"
      "names = [i.name for i in session.get_inputs()]\n\n\n"
      "def embed(text):\n"
      "    e = tokenizer.encode(text)\n"
      "    feeds = {\"input_ids\": e.ids, \"attention_mask\": e.attention_mask, "
      "\"token_type_ids\": e.type_ids}\n"
      "    hidden = session.run(None, {n: np.array([feeds[n]], np.int64) for n in "
      "names})[0][0]\n"
      "    vector = " +
      pool + "\n    return ";
  out += use.at("normalize").get<bool>() ? "vector / np.linalg.norm(vector)\n" : "vector\n";
  out += "```\n\nPooling: " + pooling + ". Tokens: at most " +
         std::to_string(use.at("max_length").get<uint64_t>()) + ".\n";
  return out;
}

// What the card writes for the caller's own file of calibration texts; empty for the built-in ones.
std::string calibration_flag(const json& settings) {
  const bool built_in = settings.at("calibration").at("name").get<std::string>() == "built-in";
  return built_in ? "" : " --calibration FILE";
}

bool is_compensated(const json& settings) {
  return settings.at("rounding").get<std::string>() == "compensated";
}

// As `octavo quantize` takes them. A budget of nothing searches nothing.
std::string protect_flags(const json& settings) {
  std::string out;
  for (const json& pattern : settings.at("protect"))
    out += " --protect " + shell_quoted(pattern.get<std::string>());
  const bool compensated = is_compensated(settings);
  bool reads_texts = compensated;
  for (const auto& [key, option] : {std::pair("target_cos", " --target-cos "),
                                    std::pair("max_extra_macs", " --max-extra-macs ")}) {
    const json& value = settings.at(key);
    if (value.is_null() || value == 0) continue;
    out += option + value.dump();
    reads_texts = true;
  }
  if (compensated) out += " --compensate";
  if (reads_texts) out += " --tokenizer fp32" + calibration_flag(settings);
  return out;
}

std::string making_section(const json& report) {
  const json& settings = report.at("settings");
  const json& calibration = settings.at("calibration");
  const json& source = report.at("source");
  const json& given = settings.at("alpha");
  const std::string alpha = given.is_string() ? given.get<std::string>() : given.dump();
  const auto activations = settings.at("activations").get<std::string>();
  const bool rows = activations != "per-tensor";
  const std::string table = settings.at("table").get<std::string>();
  const bool vanilla = report.at("quality").at("variants").contains("vanilla");
  const json& rotation = report.at("rotation");
  const bool rotated = rotation.is_object() && rotation.at("width").get<uint64_t>() > 0;
  size_t explicit_sites = 0;
  for (const auto& site : report.at("smoothing").at("sites"))
    explicit_sites += site.at("folded_into").get<std::string>().starts_with("explicit") ? 1 : 0;
  const size_t sites = report.at("smoothing").at("sites").size();
  std::string out = "## How it was made\n\n";
  out +=
      "From " + escaped(source.at("name").get<std::string>()) + " (" +
      escaped(source.at("architecture").get<std::string>()) + ", " +
      bytes(source.at("parameters").get<uint64_t>()) + " parameters): FP32 ONNX; " +
      (rotated ? "the residual stream rotated by an orthogonal matrix; " : "") +
      "SmoothQuant with " +
      (given.is_null() ? "the factors that the rounding of the weights wants"
                       : "alpha " + alpha + (rows ? ", factors for a scale a token" : "")) +
      " on " + std::to_string(sites) + " sites (" + std::to_string(sites - explicit_sites) +
      " folded into neighbouring weights, " + std::to_string(explicit_sites) +
      " as an explicit multiplication), calibrated with " +
      bytes(calibration.at("texts").get<uint64_t>()) + " texts of " +
      bytes(calibration.at("tokens").get<uint64_t>()) + " tokens (" +
      escaped(calibration.at("name").get<std::string>()) +
      (calibration.at("sha256").get<std::string>().empty()
           ? ""
           : ", SHA-256 `" + calibration.at("sha256").get<std::string>() + "`") +
      "); then dynamic INT8 of every constant-weight MatMul, weights symmetric per channel" +
      (is_compensated(settings) ? ", rounded to make up for each other on calibration texts (GPTQ)"
                                : "") +
      ", " +
      (rows ? std::string("activations unsigned") +
                  (activations == "per-token-16" ? ", 16 bits," : "") +
                  " with a scale for every token, in standard ONNX ops"
            : "activations unsigned per tensor, the form of ONNX Runtime's `quantize_dynamic`") +
      (table == "int8"      ? "; the embedding table in INT8 with a scale a row"
       : table == "float32" ? std::string()
                            : "; the embedding table in " + table) +
      ". Profile: " + settings.at("profile").get<std::string>() +
      (!vanilla ? "."
       : rows   ? ". The vanilla variant is what `quantize_dynamic` makes of the FP32 model."
                : ". The vanilla variant is the same without SmoothQuant.") +
      "\n\n";
  out +=
      "```sh\n" + report.at("command").get<std::string>() + "\n```\n\nThe same step by step:\n\n";
  const std::string quantize =
      " --per-channel --op-types MatMul --weight-type qint8 --external-data\n";
  out +=
      "```sh\noctavo import SOURCE -o fp32\n"
      "octavo smooth --fp32 fp32/model.onnx --output fp32/model.smoothed.fp32.onnx --tokenizer "
      "fp32" +
      (given.is_null() ? "" : " --alpha " + alpha) +
      (settings.at("evaluations").is_null()
           ? ""
           : " --evaluations " + settings.at("evaluations").dump()) +
      (alpha == "auto" && rows ? " --activations per-token" : "") +
      (rows ? " --factors " + activations : "") + (rotated ? " --rotate" : "") +
      calibration_flag(settings) +
      "\noctavo quantize fp32/model.smoothed.fp32.onnx model.int8.onnx" +
      (rows ? " --activations " + activations : "") +
      (table == "float32" ? "" : " --table " + table) + protect_flags(settings) + quantize +
      (vanilla ? "octavo quantize fp32/model.onnx model.int8.vanilla.onnx" + quantize : "") +
      "octavo verify model.int8.onnx --tokenizer fp32 --against fp32/model.onnx\n```\n";
  return out;
}

// All in their order, or the worst first when there are too many to read.
std::vector<size_t> shown_texts(const json& cosines) {
  constexpr size_t kAll = 40;
  constexpr size_t kWorst = 20;
  std::vector<size_t> order(cosines.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (order.size() <= kAll) return order;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return cosines.at(a).get<double>() < cosines.at(b).get<double>();
  });
  order.resize(kWorst);
  return order;
}

std::string texts_section(const json& report) {
  const json& quality = report.at("quality");
  const json& variants = quality.at("variants");
  std::string out = "## Probe texts\n\n";
  std::vector<std::string> header = {"", "text", "tokens", "SmoothQuant"};
  std::vector<std::string> rule = {"---:", "---", "---:", "---"};
  const bool vanilla = variants.contains("vanilla");
  if (vanilla) {
    header.emplace_back("vanilla");
    rule.emplace_back("---");
  }
  const json& texts = quality.at("texts");
  const json& cosines = variants.at("smoothed").at("cosines");
  const std::vector<size_t> shown = shown_texts(cosines);
  if (shown.size() < texts.size())
    out += "The " + std::to_string(shown.size()) + " of " + std::to_string(texts.size()) +
           " on which the smoothed model is worst; `report.json` has all of them.\n\n";
  out += row(header) + row(rule);
  for (const size_t i : shown) {
    const json& text = texts.at(i);
    std::vector<std::string> cells = {std::to_string(i + 1),
                                      escaped(text.at("text").get<std::string>()),
                                      std::to_string(text.at("tokens").get<uint64_t>()),
                                      fixed_digits(cosines.at(i).get<double>(), 5)};
    if (vanilla)
      cells.push_back(fixed_digits(variants.at("vanilla").at("cosines").at(i).get<double>(), 5));
    out += row(cells);
  }
  return out;
}

std::string history_section(const json& report) {
  std::string out = "## Change history\n\n";
  for (const auto& entry : report.at("history")) {
    out += "- " + escaped(entry.at("date").get<std::string>()) + ", octavo " +
           escaped(entry.at("octavo").get<std::string>()) + ": ";
    const auto why = entry.at("why").get<std::string>();
    if (!why.empty()) out += escaped(why) + ". ";
    std::string changes;
    for (const auto& change : entry.at("changes"))
      changes += (changes.empty() ? "" : "; ") + escaped(change.get<std::string>());
    out += "(" + changes + ")\n";
  }
  return out;
}

}  // namespace

std::string model_card(const json& report) {
  const std::string name = escaped(report.at("source").at("name").get<std::string>());
  std::string out =
      "---\npipeline_tag: feature-extraction\ntags:\n- onnx\n- int8\n- smoothquant\n"
      "- sentence-embeddings\n---\n";
  out += std::string(kRenderingMarker) + "\n\n# " + name + ": INT8 ONNX with SmoothQuant\n\n";
  out += "Made by octavo " + escaped(report.at("octavo").get<std::string>()) +
         ". The license is that of the original model.\n\n";
  out += quality_section(report) + "\n" + retrieval_section(report) + files_section(report) + "\n" +
         use_section(report) + "\n" + making_section(report) + "\n" + texts_section(report) + "\n" +
         history_section(report);
  return out;
}

Result<bool> is_rendering_of_build(const std::filesystem::path& file) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  const auto content = mapped->bytes();
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  return text.find(kRenderingMarker) != std::string_view::npos;
}

}  // namespace octavo
