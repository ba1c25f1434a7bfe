#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view kTexts[] = {
    // German
    R"(Wie beantrage ich einen neuen Reisepass, wenn der alte gestohlen wurde?)",
    R"(Die Wärmepumpe im Keller brummt seit Montag, obwohl der Techniker erst letzte Woche hier war.)",
    R"(Kündigungsfrist für einen unbefristeten Mietvertrag)",
    R"(Der Beschluss des Gemeinderats, die Hauptstraße für den Durchgangsverkehr zu sperren, stößt bei den Ladenbesitzern auf wenig Gegenliebe.)",
    R"(Rinderrouladen: Senf, Speck, Zwiebeln und Gurke einrollen, scharf anbraten, zwei Stunden schmoren.)",
    R"(Sehr geehrte Damen und Herren, anbei erhalten Sie die Rechnung Nr. 2024-0817 über 349,90 Euro. Bitte überweisen Sie den Betrag innerhalb von 14 Tagen.)",
    R"(Es regnet, es regnet, die Erde wird nass, und wenn's genug geregnet hat, wächst vor dem Haus das Gras.)",
    R"(Donaudampfschifffahrtsgesellschaft, Rechtsschutzversicherung, Straßenbahnhaltestelle)",
    R"(Welche Nebenwirkungen hat dieses Medikament bei Kindern unter zwölf Jahren?)",
    R"(Der Zug nach Kassel fällt heute aus. Reisende werden gebeten, den Ersatzbus am Vorplatz zu nehmen.)",
    R"(Unter einer Inflationsrate versteht man die prozentuale Veränderung des Preisniveaus innerhalb eines Jahres.)",
    R"(Großmutter öffnete früh um fünf das Fenster, hörte den Amseln zu und sagte, so ein Tag dürfe ruhig länger dauern.)",
    R"(Die Bienen fliegen bei unter zehn Grad nicht aus; im Winter sitzen sie als Traube dicht um die Königin und zehren vom Honig, den sie im Sommer eingetragen haben. Wer im Januar das Ohr an den Kasten legt, hört ein leises, gleichmäßiges Summen. Verstummt es, ist das Volk verloren, und meist liegt es dann nicht an der Kälte, sondern an der Feuchtigkeit, an Milben oder daran, dass jemand zu spät und zu wenig gefüttert hat. Deshalb wiegt der Imker seine Kästen im Herbst, schreibt das Gewicht mit Kreide auf den Deckel und lässt sie danach in Ruhe, so schwer ihm das auch fällt.)",
    R"(Nein, danke, ich schaue mich nur um.)",
    // Dutch
    R"(Waar kan ik mijn oude fiets laten repareren in de buurt van het station?)",
    R"(De dijk is vorig jaar verhoogd, maar bij een noordwesterstorm staat het water nog steeds tot aan de kade.)",
    R"(Hij kocht drie haringen, twee broodjes en een krant, en ging op de bank aan de gracht zitten.)",
    R"(Belastingaangifte doen als zelfstandige zonder personeel)",
    R"(De rechter oordeelde dat de gemeente onvoldoende had gemotiveerd waarom de vergunning werd geweigerd.)",
    // Swedish
    R"(Hur länge kan man förvara kokt ris i kylskåpet?)",
    R"(Snön låg kvar i skuggan bakom ladan ända in i maj, och barnen vägrade ta av sig mössorna.)",
    R"(Regeringen föreslår sänkt skatt på reparationer av cyklar, skor och kläder.)",
    R"(Tåget mot Östersund är försenat cirka 40 minuter på grund av ett signalfel.)",
    // Danish
    R"(Hvordan tilmelder jeg mit barn til svømmeundervisning?)",
    R"(Vinden vendte ved middagstid, og inden aften var hele flåden hjemme i havnen igen.)",
    R"(Forskerne målte iltindholdet i fjorden hver uge i tre år og fandt et tydeligt fald om sommeren.)",
    // Norwegian
    R"(Når åpner fjellovergangen for trafikk etter vinteren?)",
    R"(Bestemor strikket votter til alle naboene, og ingen av dem passet helt, men alle ble brukt.)",
    R"(Kommunen søker lærer i matematikk og naturfag, 100 prosent stilling fra 1. august.)",
    // Icelandic
    R"(Hvernig er veðrið á Akureyri um helgina?)",
    R"(Hraunið rann hægt niður hlíðina og gufan steig upp úr mosanum alla nóttina.)",
    // Afrikaans
    R"(Die wingerde rondom die dorp kleur rooi en geel voordat die eerste ryp val.)",
};

}  // namespace

Texts germanic() { return kTexts; }

}  // namespace octavo::calibration
