#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view kTexts[] = {
    // Chinese
    R"(身份证丢了应该怎么补办？)",
    R"(老街尽头有一家修伞的铺子，师傅今年七十六岁，每天只修三把伞。)",
    R"(研究人员发现，这种材料在零下四十度仍能保持弹性。)",
    R"(请问去机场的大巴几点发车？票价多少？)",
    R"(本公司第三季度营业收入同比增长百分之十八，净利润为四点二亿元。)",
    R"(春天来了，山坡上的杏花开了，蜜蜂也忙起来了。孩子们放学后不肯回家，在田埂上跑来跑去，直到炊烟升起，听见母亲一声一声地喊他们的名字。)",
    R"(圖書館週一休館，其他日子上午九點開放。)",
    // Japanese
    R"(駅の近くで荷物を預けられる場所はありますか。)",
    R"(祖父の畑には、誰が植えたのかわからない柿の木が一本だけ立っている。)",
    R"(新しい法律は来年四月から施行され、中小企業には一年の猶予が与えられる。)",
    R"(このカメラは軽くて使いやすいけど、電池がすぐ切れる。)",
    R"(カレーの作り方：玉ねぎをあめ色になるまで炒め、肉と野菜を加えて三十分煮込む。)",
    // Korean
    R"(여권을 잃어버렸을 때 어떻게 해야 하나요?)",
    R"(할머니는 장독대 옆에 앉아 하루 종일 고추를 말리셨다.)",
    R"(올해 상반기 수출은 지난해 같은 기간보다 7.3퍼센트 늘었다.)",
    R"(지하철 막차는 몇 시에 끊기나요?)",
    // Vietnamese
    R"(Làm thế nào để đổi mật khẩu tài khoản ngân hàng?)",
    R"(Con đò nhỏ chở khách qua sông suốt ba mươi năm, đến khi cây cầu mới xây xong.)",
    R"(Giá lúa gạo xuất khẩu tăng nhẹ trong tuần qua.)",
    // Indonesian, Malay and Filipino
    R"(Bagaimana cara mengurus surat izin usaha untuk warung kecil?)",
    R"(Hujan turun sejak subuh, dan jalan menuju pasar berubah menjadi sungai.)",
    R"(Kapal itu belayar ke pulau setiap hari kecuali hari Jumaat.)",
    R"(Saan po ang pinakamalapit na botika?)",
    // Thai
    R"(ร้านอาหารใกล้วัดเปิดกี่โมง)",
    R"(ฝนตกหนักตั้งแต่เช้า รถไฟจึงมาช้ากว่าปกติ)",
    // Burmese and Khmer
    R"(ဒီနေ့ ရာသီဥတု ကောင်းတယ်။)",
    R"(ផ្សារបើកម៉ោងប៉ុន្មាន?)",
    // Hindi, Marathi and Nepali
    R"(राशन कार्ड के लिए आवेदन कैसे करें?)",
    R"(गाँव के कुएँ का पानी गर्मियों में भी ठंडा रहता है।)",
    R"(सरकार ने किसानों के लिए नई बीमा योजना की घोषणा की।)",
    R"(पुण्याहून मुंबईला जाणारी पहिली गाडी किती वाजता आहे?)",
    // Bengali
    R"(ট্রেনের টিকিট কীভাবে বাতিল করব?)",
    R"(নদীর ধারে বসে জেলেরা জাল সারাই করছে।)",
    // Tamil, Telugu, Kannada, Malayalam
    R"(மழைக்காலத்தில் ஏரி நிரம்பி வழிந்தது.)",
    R"(ఈ రోజు మార్కెట్ ఎన్ని గంటలకు తెరుస్తారు?)",
    R"(ಬಸ್ಸು ಎಷ್ಟು ಗಂಟೆಗೆ ಬರುತ್ತದೆ?)",
    R"(മഴ തുടങ്ങിയാൽ പുഴ നിറയും.)",
    // Gujarati and Punjabi
    R"(દુકાન સાંજે કેટલા વાગ્યે બંધ થાય છે?)",
    R"(ਖੇਤਾਂ ਵਿੱਚ ਸਰ੍ਹੋਂ ਦੇ ਪੀਲੇ ਫੁੱਲ ਖਿੜੇ ਹਨ।)",
    // Urdu and Persian
    R"(پاسپورٹ کی تجدید کے لیے کون سے کاغذات چاہییں؟)",
    R"(قطار تهران به تبریز ساعت چند حرکت می‌کند؟)",
    R"(باغبان پیر هر روز پیش از طلوع آفتاب درختان را آب می‌دهد.)",
    // Arabic
    R"(كيف يمكنني استعادة حسابي بعد حذفه بالخطأ؟)",
    R"(جلس الصيادون على الرصيف ينتظرون هدوء البحر منذ الفجر.)",
    R"(أعلنت الوزارة عن خفض الرسوم الجمركية على الأجهزة الطبية بنسبة 12 بالمئة.)",
    R"(طريقة تحضير العدس مع الليمون والكمون)",
    // Hebrew
    R"(איך מבטלים מנוי לחדר כושר?)",
    R"(הסבתא אפתה לחם בכל יום שישי, וכל השכונה ידעה.)",
    // Georgian, Armenian, Kazakh, Mongolian
    R"(ბაზარი დილის შვიდ საათზე იხსნება.)",
    R"(Գարնանը ծիրանի ծառերը ծաղկում են։)",
    R"(Көктемде даланы қызғалдақ жауып кетеді.)",
    R"(Малчин морио унаад өглөө эрт хоньдоо гаргав.)",
    // Swahili, Yoruba, Amharic, Zulu, Hausa
    R"(Basi la kwenda Mombasa linaondoka saa ngapi?)",
    R"(Wakulima walivuna mahindi mapema kwa sababu ya mvua nyingi.)",
    R"(Ọjà ńlá náà máa ń ṣí ní gbogbo ọjọ́ márùn-ún.)",
    R"(ገበያው ጠዋት ይከፈታል።)",
    R"(Izingane zidlala ibhola ngaphandle kwesikole.)",
    R"(Kasuwa tana buɗewa da safe.)",
};

}  // namespace

Texts asian() { return kTexts; }

}  // namespace octavo::calibration
