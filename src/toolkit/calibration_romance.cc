#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view kTexts[] = {
    // French
    R"(Comment résilier un abonnement téléphonique avant la fin du contrat ?)",
    R"(Le boulanger du coin ferme le mercredi, ce que toute la rue sait et que personne ne retient.)",
    R"(Article 7. Les parties s'engagent à garder confidentielles les informations échangées pendant une durée de cinq ans.)",
    R"(Quels sont les symptômes d'une carence en fer chez l'adolescent ?)",
    R"(L'été dernier, la rivière s'est arrêtée de couler pendant onze jours ; les anciens disent n'avoir jamais vu cela.)",
    R"(Faire revenir les échalotes, ajouter le vin blanc, laisser réduire de moitié, puis monter au beurre.)",
    R"(Le train de 17 h 52 à destination de Clermont-Ferrand partira voie F.)",
    R"(La photographie naquit d'une patience : il fallait que la lumière, des heures durant, consente à travailler. On posait la plaque au fond de la boîte, on retirait le bouchon, et l'on attendait. Les passants ne laissaient aucune trace, trop pressés pour exister aux yeux du bitume ; seul demeurait ce qui ne bougeait pas, les toits, les murs, un homme qui par hasard faisait cirer ses chaussures au coin du boulevard. Il est, sans l'avoir su, le premier être humain dont nous possédions l'image, et nous ne connaissons ni son nom ni son visage.)",
    // Spanish
    R"(¿Dónde puedo renovar el permiso de conducir sin cita previa?)",
    R"(La abuela guardaba las cartas en una caja de galletas, atadas con un cordón verde.)",
    R"(El paro bajó en abril por tercer mes consecutivo, aunque el empleo temporal sigue siendo mayoritario.)",
    R"(¡No me digas que otra vez has perdido las llaves! Es la tercera vez este mes.)",
    R"(Receta de lentejas con verduras: remojar dos horas, sofreír la cebolla, cocer a fuego lento cuarenta minutos.)",
    R"(El acueducto romano tiene ciento sesenta y siete arcos y no lleva ni una gota de argamasa.)",
    R"(requisitos para pedir una beca de estudios en el extranjero)",
    R"(Llovía sobre el puerto, llovía sobre las redes, llovía sobre los gatos, llovía sin ganas y sin parar.)",
    // Italian
    R"(Qual è il modo migliore per conservare il basilico fresco?)",
    R"(Il sindaco ha inaugurato ieri il nuovo ponte pedonale sul torrente, costato due milioni e mezzo di euro.)",
    R"(Spett.le ditta, con la presente chiediamo un preventivo per la fornitura di 200 sedie pieghevoli.)",
    R"(Nel cortile c'era un fico così grande che d'estate nessuno vedeva più il pozzo.)",
    R"(orari delle messe nella cattedrale durante le feste)",
    R"(La sentenza stabilisce che il datore di lavoro deve risarcire il danno anche in assenza di colpa grave.)",
    // Portuguese
    R"(Como faço para cancelar a minha inscrição no ginásio?)",
    R"(O elétrico subia a colina devagar, rangendo em cada curva, e os turistas tiravam fotografias a tudo.)",
    R"(A produção de café caiu 8% por causa da geada que atingiu o sul de Minas em julho.)",
    R"(Sinto muito, mas o médico só atende às segundas e quintas-feiras.)",
    R"(Os dados foram recolhidos entre 2015 e 2019 em quarenta e duas escolas públicas do interior.)",
    // Romanian
    R"(Cât costă un bilet de tren de la Cluj la Brașov?)",
    R"(Bunicul povestea mereu aceeași întâmplare cu ursul, iar noi râdeam de fiecare dată.)",
    R"(Guvernul a aprobat o ordonanță privind reducerea taxelor pentru micii producători.)",
    // Catalan and Galician
    R"(La tardor arriba tard a la vall, i quan arriba fa olor de bolets i de llenya mullada.)",
    R"(O faro segue aceso toda a noite, aínda que xa ninguén navega por aquí.)",
};

}  // namespace

Texts romance() { return kTexts; }

}  // namespace octavo::calibration
