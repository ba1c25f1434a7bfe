#include "toolkit/probe_texts.h"

#include "octavo/verify.h"

namespace octavo {

std::span<const ProbeText> wide_probe() {
  static const std::vector<ProbeText> kTexts = {
#include "toolkit/probe_wide_texts.inc"
  };
  return kTexts;
}

const std::vector<std::string>& default_probe_texts() {
  static const std::vector<std::string> kTexts = {
#include "toolkit/probe_texts.inc"
  };
  return kTexts;
}

Result<std::vector<std::string>> probe_texts(const std::string& name) {
  if (name == "small") return default_probe_texts();
  if (name != "wide")
    return Error{Code::not_found, "no probe named \"" + name + "\"; there are: small, wide"};
  std::vector<std::string> texts;
  for (const ProbeText& text : wide_probe()) texts.push_back(text.text);
  return texts;
}

}  // namespace octavo
