#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view kTexts[] = {
    // Greek
    R"(Πώς μπορώ να κλείσω ραντεβού με τον γιατρό;)",
    R"(Το καΐκι έφυγε πριν χαράξει και γύρισε με άδεια δίχτυα.)",
    R"(Η θερμοκρασία θα φτάσει τους 39 βαθμούς στα ηπειρωτικά.)",
    // Turkish
    R"(Kimliğimi kaybettim, yenisini nasıl çıkarabilirim?)",
    R"(Dedem her sabah çayını bahçede içer, kuşlara ekmek ufalar, sonra gazetesini okurdu.)",
    R"(Merkez bankası faiz oranını yüzde 2,5 artırdığını açıkladı.)",
    R"(ikinci el kamera alırken nelere dikkat etmeli)",
    // Finnish
    R"(Miten ilmoitan osoitteenmuutoksesta, jos muutan ulkomaille?)",
    R"(Järvi jäätyi yhdessä yössä, ja aamulla koko kylä kuunteli, kuinka jää lauloi.)",
    R"(Tutkimuksen mukaan nuoret lukevat aiempaa vähemmän kirjoja mutta enemmän uutisia.)",
    // Estonian
    R"(Kus asub lähim apteek ja mis kell see suletakse?)",
    // Hungarian
    R"(Hogyan tudom módosítani a repülőjegyem dátumát?)",
    R"(A nagymama kertjében annyi meggyfa volt, hogy júniusban az egész utca lekvárt főzött.)",
    R"(Az önkormányzat új kerékpárutat épít a folyó mentén, a munkálatok tavasszal kezdődnek.)",
    // Albanian
    R"(Ku mund të ndërroj para pranë stacionit të autobusit?)",
    // Irish and Welsh
    R"(Cá bhfuil an leabharlann is gaire, más é do thoil é?)",
    R"(Mae'r trên nesaf i Aberystwyth yn gadael am chwarter wedi naw.)",
    // Basque
    R"(Mendiko aterpea itxita egongo da neguan, elurra dela eta.)",
    // Maltese
    R"(Il-vapur jitlaq kull nofs siegħa minn Ċirkewwa.)",
    // Latin
    R"(Puella in horto ambulat et rosas albas matri suae carpit.)",
    R"(Hieme agricolae domi manent, instrumenta reficiunt et de messe futura loquuntur.)",
    R"(Nauta, cum procellam venire videret, vela contraxit et portum petivit; at navis, fluctibus iactata, vix ante noctem ad litus pervenit.)",
    R"(Quis custodit clavem templi? Sacerdos, qui prope fontem habitat, eam custodit.)",
    // Esperanto
    R"(Morgaŭ ni veturos per trajno al la maro, se la vetero estos bona.)",
};

}  // namespace

Texts european() { return kTexts; }

}  // namespace octavo::calibration
