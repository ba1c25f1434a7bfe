#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view kTexts[] = {
    R"(hello)",
    R"(Yes)",
    R"(?)",
    R"(The)",
    R"(bicycle)",
    R"(Stockholm)",
    R"(wind turbine)",
    R"(42)",
    R"(3.14159265358979)",
    R"(1 2 4 8 16 32 64 128 256 512 1024 2048 4096)",
    R"(+49 30 901820, ext. 17)",
    R"(https://www.example.org/catalog/items?id=8812&sort=price&page=3#reviews)",
    R"(support@example.net)",
    R"(ISBN 978-0-306-40615-7)",
    R"(- milk
- eggs (10)
- rye bread
- 2 kg potatoes
- stamps)",
    R"(1. Open the cover. 2. Remove the cartridge. 3. Shake it gently. 4. Put it back. 5. Close the cover.)",
    R"(| name | qty | price |
|------|-----|-------|
| bolt | 200 | 0.12 |
| nut  | 200 | 0.08 |)",
    R"(# Installation

Run the installer, **restart**, then check the version with `tool --version`.

> Note: administrators only.)",
    R"(<p>Only <b>three</b> seats left &mdash; <a href="/book">book now</a></p>)",
    R"(😀🎉 see you at 8!! 🍕🍕🍕)",
    R"(!!! ??? ... --- *** ### @@@ $$$ %%%)",
    R"(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)",
    R"(ha ha ha ha ha ha ha ha ha ha ha ha)",
    R"(THE QUICK RED LORRY STOPPED)",
    R"(a b c d e f g h i j k l m n o p q r s t u v w x y z)",
    R"(48°51'24"N 2°21'08"E)",
    R"(H2SO4 + 2 NaOH -> Na2SO4 + 2 H2O)",
    R"(∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε)",
    R"(Mon 08:30-12:00, Tue closed, Wed 08:30-12:00 and 14:00-18:00, Thu-Fri by appointment)",
    R"(Name,Age,City
Ana,31,Porto
Björn,45,Malmö
Chidi,27,Enugu)",
    R"(Re: Fwd: Re: invoice 20391 / second reminder)",
    R"(ATGGCGTACGATTAGCCGATAACGTTAGC)",
    R"(e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O Be7)",
    R"(    indented    and   oddly	spaced
text   )",
    R"(“Curly quotes,” she said — and an en–dash, an ellipsis… and a soft­hyphen.)",
    R"(v2.7.1-rc3+build.20240229)",
    R"(Größe: 1,80 m × 2,00 m; Gewicht: 12½ kg; Preis: 199,– €)",
    R"(Tokyo 東京 Токио طوكيو Τόκιο 도쿄 टोक्यो)",
};

}  // namespace

Texts fragments() { return kTexts; }

}  // namespace octavo::calibration
