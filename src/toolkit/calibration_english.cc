#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view
    kTexts
        [] =
            {
                R"(How do I reset my password if the recovery email no longer exists?)",
                R"(What is the difference between a heat pump and a conventional boiler?)",
                R"(Opening hours of the public library in Turku on Sundays)",
                R"(The ferry leaves at 6:40 and docks on the far side of the fjord a little after eight.)",
                R"(Please send the signed contract back by Thursday; we cannot start before the insurer agrees.)",
                R"(She counted the beehives twice, wrote 37 in the ledger and closed the gate behind her.)",
                R"(Is it safe to take ibuprofen together with blood thinners?)",
                R"(My sourdough starter smells of acetone. Should I throw it away or feed it more often?)",
                R"(A patient of 64 years presented with fatigue, night sweats and a weight loss of nine kilograms over five months; ferritin was markedly elevated.)",
                R"(Refund policy: unopened items may be returned within 30 days. Opened software cannot be returned.)",
                R"(The committee postponed its vote on the dam after engineers reported a crack in the northern spillway.)",
                R"(cheap flights from Lisbon to Reykjavik in late October)",
                R"(Could you move our meeting to 3 pm? The train from Leeds is delayed again.)",
                R"(Photosynthesis turns light, water and carbon dioxide into sugar and oxygen; the reverse, respiration, releases the stored energy.)",
                R"(The defendant shall indemnify the claimant against all losses arising out of or in connection with any breach of clause 14.2, save to the extent that such losses were caused by the claimant's own negligence.)",
                R"(I loved the acting, hated the ending, and would still watch it again tomorrow.)",
                R"(Two stars. The blender works, but the lid cracked after a week and support never answered.)",
                R"(Add the onions, let them sweat for ten minutes, then pour in the stock and simmer until the lentils fall apart.)",
                R"(Gradient descent follows the slope of the loss downhill; momentum remembers where it was going.)",
                R"(Who painted the ceiling of the small chapel next to the old customs house?)",
                R"(Breaking: magnitude 6.1 earthquake shakes the coast, no tsunami warning issued.)",
                R"(The moon was a thin paring over the marsh, and somewhere a heron complained about the cold.)",
                R"(Our quarterly revenue grew by 12.4 percent to 81.9 million, while operating costs fell slightly.)",
                R"(Tick tock, tick tock, said the clock on the wall. Tick tock, tick tock, and nothing else at all.)",
                R"(Row after row after row of tomatoes, row after row after row of beans, row after row of nothing.)",
                R"(He said no. She said no. They all said no. No, no, no, and no again.)",
                R"(To mount the volume read-only, pass the flag before the path; otherwise the journal is replayed first.)",
                R"(Symptoms of vitamin B12 deficiency in vegans)",
                R"(best hiking boots for wide feet waterproof under 150)",
                R"(translate: where is the nearest pharmacy)",
                R"(You are a helpful assistant. Answer in one sentence. Question: why do cats purr?)",
                R"(query: renewable energy subsidies for small farms)",
                R"(passage: Small farms may apply for a grant covering up to forty percent of the cost of solar panels.)",
                R"(Instruct: Given a web search query, retrieve relevant passages that answer the query
Query: how tall is the tallest lighthouse)",
                R"(Dear Ms. Okafor, thank you for your application. We regret to inform you that the position has been filled. We will keep your documents for six months, unless you ask us to delete them. Kind regards, Human Resources)",
                R"(The internet went down at noon. By two, people were talking to each other in the corridor. By four, someone had brought a guitar.)",
                R"(Copper is mined, crushed, floated, smelted, refined and drawn into wire thinner than a hair.)",
                R"(In 1907 the village had one telephone, in the bakery, and everybody knew everybody's business.)",
                R"(Does the warranty cover accidental damage, and if so, who pays for the shipping?)",
                R"(A group G is abelian if ab = ba for all a, b in G. Every cyclic group is abelian; the converse fails, as the Klein four-group shows.)",
                R"(Treatment was discontinued in 3 of 48 participants (6.3%) because of adverse events; none were considered serious.)",
                R"(WARNING: do not immerse the appliance in water. Unplug before cleaning. Keep out of reach of children.)",
                R"(Once upon a time a fox, tired of being called clever, decided to be kind instead, and found it harder.)",
                R"(goalkeeper saves late penalty as visitors snatch a draw)",
                R"(The orchestra tuned to an A that had been climbing, a hertz or two a decade, for three hundred years.)",
                R"(Lemma 3. Let f be continuous on a compact set K. Then f attains its maximum. Proof. Suppose not; then 1/(M - f) is continuous and unbounded on K, a contradiction.)",
                R"(ALL PASSENGERS MUST PROCEED TO GATE B22 IMMEDIATELY)",
                R"(i cant log in since the update pls help asap!!! it just says error 0x80070005)",
                R"(Rent: 1,150 per month, deposit two months, available from 1 March, no pets, third floor without lift.)",
                R"(The glacier has lost a third of its thickness since the first survey; its tongue now ends above the hut, where a lake the colour of milk has formed.)",
                R"(Why does bread go stale faster in the fridge?)",
                R"(Interest rates stayed where they were, which surprised the markets more than any change would have.)",
                R"(Neutrinos pass through the whole planet as if it were not there, and yet a tank of very clean water catches a few of them every day.)",
                R"(Thank you for calling. Your call is important to us. Please hold the line. Thank you for calling. Your call is important to us. Please hold the line.)",
                R"(The tide table for the harbour lists two high waters a day, about twelve hours and twenty-five minutes apart, because the moon moves on while the earth turns. Spring tides, which have nothing to do with the season, come two days after new and full moon, when sun and moon pull along one line; neap tides come in between, when they pull at right angles and half undo each other's work. None of this explains why the water at the head of the estuary rises six metres while the open coast a day's sail away sees barely one. That is the doing of the shape of the bay: the wave runs in, is squeezed, slows, steepens, and meets its own reflection at just the moment when the next one arrives. Fishermen knew the times by heart long before anybody wrote the theory down, and they distrusted the printed table, with good reason, whenever a storm stood out at sea and pushed the water about as it pleased.)",
                R"(Minutes of the residents' meeting, 14 November. Present: nine of twelve households. 1. The roof. Two offers were received, one for 23,400 and one for 31,050; the cheaper one does not include the gutters. It was agreed by seven votes to two to ask both firms for a new offer that includes gutters, insulation and the removal of the old antenna. 2. The bicycle cellar. Somebody keeps leaving the light on and somebody else keeps complaining about it on paper. A timer will be installed. 3. The garden. The apple tree has canker and will be pruned in February by Mr. Lindqvist, who has done it before and owns a ladder. 4. Noise. Drilling is allowed on weekdays between nine and noon and between two and six, never on Sundays, and not at all during the exams of the daughter on the second floor. 5. Any other business: none. The meeting closed at 21:15, and the cake was finished.)",
                R"(Abstract. We study how rounding errors travel through deep networks whose weights are stored as eight-bit integers. Earlier work treats the error of each layer as independent noise and adds up variances; we show that this misses a systematic part. A handful of channels carry activations a hundred times larger than their neighbours, and whatever step size accommodates them is too coarse for all the others. Because these channels are the same for every input, the error does not average out over tokens but shifts every representation in the same direction. We propose to divide each channel by a constant before the product and to multiply the matching row of the weights by the same constant afterwards, which changes nothing in exact arithmetic. On seven public models the average cosine similarity between the original and the quantized sentence vectors rises from 0.93 to 0.996, at no cost at run time. We discuss where the constants can be absorbed by neighbouring layers, and where they cannot.)",
                R"(Grandmother's rules for jam, as I remember them. Pick on a dry day, early, before the wasps. Weigh the fruit after stoning, never before, and take three parts of sugar to four of fruit, unless it is quinces, which are a law unto themselves. Use the wide copper pan, not the tall pot: what you want is for the water to leave in a hurry. Stir with wood. Skim with patience. The plate you test it on has to come from the cold larder, and the drop must wrinkle when you push it, not run and not crack. Fill the jars to the brim, hot into hot, turn them on their heads for as long as it takes to say nothing for once, and then set them upright in a row. Label them the same evening. A jar without a year, she said, is just a jar.)",
                R"(Frequently asked questions. Q: Can I use the card abroad? A: Yes, in all countries except those listed in appendix C. Q: Is there a fee? A: There is no fee within the euro area; elsewhere we charge 1.75% of the amount, at least 1.50. Q: What happens if I lose it? A: Block it at once in the app or by phone, day and night; you are liable for at most 50 until then and for nothing afterwards. Q: How long does a replacement take? A: Three to five working days, or two with express delivery. Q: Can I choose my own PIN? A: Yes, at any of our machines. Q: Why was my payment refused? A: Usually because the daily limit was reached, the details were mistyped, or the merchant's bank did not answer in time. Please try again after a few minutes.)",
};

}  // namespace

Texts english() { return kTexts; }

}  // namespace octavo::calibration
