#include "toolkit/architectures/rope.h"

#include <cmath>
#include <numbers>

#include "formats/json.h"

namespace octavo::architectures {

namespace {

float positive(Config& config, const nlohmann::json& scaling, const char* key) {
  const double value = json_double(scaling, key, -1);
  if (value > 0 && std::isfinite(value)) return static_cast<float>(value);
  config.invalid("rope scaling needs a positive \"" + std::string(key) + "\"");
  return 1;
}

void scale_llama3(Config& config, const nlohmann::json& scaling, std::vector<float>& frequencies) {
  const float factor = positive(config, scaling, "factor");
  const float low = positive(config, scaling, "low_freq_factor");
  const float high = positive(config, scaling, "high_freq_factor");
  const float length = positive(config, scaling, "original_max_position_embeddings");
  if (!(high > low)) {
    config.invalid("rope scaling \"high_freq_factor\" must be above \"low_freq_factor\"");
    return;
  }
  for (float& f : frequencies) {
    const float wavelength = 2.0F * std::numbers::pi_v<float> / f;
    if (wavelength > length / low) {
      f /= factor;
    } else if (wavelength >= length / high) {
      const float keep = (length / wavelength - low) / (high - low);
      f = (1.0F - keep) * f / factor + keep * f;
    }
  }
}

}  // namespace

std::vector<float> rope_frequencies(Config& config, int64_t head_dim) {
  const auto& json = config.json();
  nlohmann::json scaling = nlohmann::json::object();
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(key)) continue;
    scaling = json[key];
    if (!scaling.is_object()) {
      config.invalid("\"" + std::string(key) + "\" is not an object");
      return {};
    }
  }
  if (head_dim % 2 != 0 || head_dim > 65536) {
    config.invalid("rotary embedding needs an even head_dim up to 65536, not " +
                   std::to_string(head_dim));
    return {};
  }
  if (json_double(scaling, "partial_rotary_factor",
                  json_double(json, "partial_rotary_factor", 1)) != 1)
    config.unsupported("\"partial_rotary_factor\" other than 1");

  const double theta = json_double(scaling, "rope_theta", json_double(json, "rope_theta", 10000));
  if (!(theta > 0) || !std::isfinite(theta))
    config.invalid("\"rope_theta\" is not a positive number");
  std::vector<float> frequencies;
  for (int64_t i = 0; i < head_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(head_dim);
    frequencies.push_back(1.0F / std::pow(static_cast<float>(theta), exponent));
  }

  const std::string type =
      json_string(scaling, "rope_type", json_string(scaling, "type", "default"));
  if (type == "linear") {
    const float factor = positive(config, scaling, "factor");
    for (float& f : frequencies) f /= factor;
  } else if (type == "llama3") {
    scale_llama3(config, scaling, frequencies);
  } else if (type != "default") {
    config.unsupported("rope scaling \"" + type + "\"; known are default, linear and llama3");
  }
  return frequencies;
}

}  // namespace octavo::architectures
