#pragma once
// The built-in calibration texts by language family: written for this project, never copied. What
// matters is not what they say but that they wake up the channels real input wakes up: many
// scripts, short and long, questions and lists, digits, markup and code. Verification probes must
// not repeat them.

#include <span>
#include <string_view>

namespace octavo::calibration {

using Texts = std::span<const std::string_view>;

Texts english();
Texts germanic();
Texts romance();
Texts slavic();
Texts european();  // Greek, Turkish, Finnish, Hungarian, Latin, Esperanto, ...
Texts asian();
Texts code();
Texts fragments();  // words, numbers, lists, URLs, markup
Texts messages();   // greetings, thanks, answers of a few words

}  // namespace octavo::calibration
