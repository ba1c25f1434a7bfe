#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view kTexts[] = {
    // Russian
    R"(Как восстановить доступ к почте, если забыл пароль?)",
    R"(Поезд стоял в поле уже третий час, и проводница разносила чай, как будто так и надо.)",
    R"(Учёные обнаружили в озере микроорганизмы, которые живут без света и кислорода.)",
    R"(Сколько стоит аренда однокомнатной квартиры возле метро?)",
    R"(Суд обязал компанию выплатить компенсацию в размере 1,2 миллиона рублей.)",
    R"(Бабушка солила огурцы в дубовой бочке: слой укропа, слой огурцов, лист смородины, и так до самого верха.)",
    // Ukrainian
    R"(Де можна здати старі батарейки на переробку?)",
    R"(Навесні річка розлилася так широко, що до школи діти діставалися човном.)",
    R"(Міністерство оприлюднило розклад іспитів на наступний рік.)",
    // Polish
    R"(Jak zgłosić reklamację, jeśli sklep internetowy nie odpowiada na wiadomości?)",
    R"(Wieczorem mgła zeszła z gór i przykryła całe miasteczko, aż po dzwonnicę.)",
    R"(Zarząd spółki poinformował o wzroście przychodów o 15 procent w porównaniu z ubiegłym rokiem.)",
    R"(przepis na pierogi z kapustą i grzybami)",
    R"(W Szczebrzeszynie chrząszcz brzmi w trzcinie, a sąsiad od rana szuka szczotki.)",
    // Czech
    R"(Jaké doklady potřebuji k přihlášení auta z ciziny?)",
    R"(Ve starém mlýně dnes sídlí knihovna a mlýnské kolo pohání jen malou lampu nad schody.)",
    R"(Meteorologové varují před silným větrem, na hřebenech hor může dosáhnout až 120 km/h.)",
    // Slovak
    R"(Koľko trvá cesta vlakom z Košíc do Bratislavy?)",
    R"(Na jeseň sa celá dedina zíde pri oberačke hrozna a večer sa spieva do neskorej noci.)",
    // Bulgarian
    R"(Къде мога да купя билет за автобуса до морето?)",
    R"(Розите в долината се берат преди изгрев, докато росата още е по листата.)",
    // Serbian and Croatian
    R"(Како да поднесем захтев за нову личну карту?)",
    R"(Na otoku nema automobila, pa se i cement i klavir prevoze na magarcu ili u čamcu.)",
    // Slovenian
    R"(Kje je najbližji bankomat in ali deluje tudi ponoči?)",
    // Lithuanian and Latvian: Baltic, but they read much like their neighbours
    R"(Rudenį miškuose pilna grybų, tik reikia žinoti, kur jų ieškoti.)",
    R"(Vai muzejs ir atvērts arī pirmdienās?)",
};

}  // namespace

Texts slavic() { return kTexts; }

}  // namespace octavo::calibration
