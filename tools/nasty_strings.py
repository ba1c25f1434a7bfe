"""Strings that break tokenizers, the same every time: 20 languages in all normalisation forms,
every block of Unicode, emoji sequences, controls, whitespace of every kind, special tokens, code,
long runs, bytes that are no UTF-8. strings() gives bytes."""
import random
import unicodedata

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.", "I'm sure they've said it'll rain; we'd better go, don't you think?",
    "Der Klimawandel verändert unsere Wälder, Flüsse und Städte.", "Fußgängerübergänge müßten größer sein: Straße, STRASSE, ẞ.",
    "L'été dernier, où étiez-vous ? Ça m'a plu, cœur naïf.", "¿Cuántos años tiene el niño? ¡Qué pregunta!",
    "Não há coração que aguente tanta emoção.", "Perché l'università è così lontana?", "Gdzie jest żółta łódź z Łodzi?",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.", "Où ça? Tiếng Việt có nhiều dấu: ặ ễ ợ ữ.", "İstanbul'da ılık IĞDIR ışığı",
    "Широкая электрификация южных губерний.", "Ґанок, їжак і щастя — українською.", "Ταχίστη αλώπηξ βαφής ψημένη γη, ΟΔΥΣΣΕΥΣ",
    "שָׁלוֹם עֲלֵיכֶם וברוכים הבאים", "مَرحبًا بالعالم، كيف حالك؟ لا إله", "سلام دنیا، می‌خواهم بروم", "नमस्ते दुनिया, हिन्दी में लिखा क्षेत्र",
    "বাংলা ভাষা সুন্দর কৃষ্ণ", "தமிழ் மொழி இனிது ஸ்ரீ", "ภาษาไทยไม่มีช่องว่างระหว่างคำ", "ພາສາລາວ ແມ່ນພາສາ", "ខ្ញុំស្រឡាញ់ភាសាខ្មែរ",
    "今天天气很好，我们去公园吧。", "日本語の文章をトークン化するのはﾊﾝｶｸむずかしい。", "한국어 형태소 분석은 재미있다 ㄱㄴㄷ", "ქართული ენა ძველია", "Հայերեն լեզու և գիր",
    "አማርኛ የኢትዮጵያ ቋንቋ ነው።", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "𐍅𐌿𐌻𐍆𐌹𐌻𐌰 𝔣𝔯𝔞𝔨𝔱𝔲𝔯 𝟘𝟙𝟚 ﬁﬂﬃ Ⅷ ㎏ ℡ ½ ①",
]
CODE = [
    "def f(x: int) -> int:\n    return x ** 2  # square\n", "if (a[i] != b->c && !d) { x += 0x1F; }\r\n",
    '{"key": [1, 2.5e-10, null, true], "nested": {"a": "b\\n"}}', "<div class=\"a b\">&nbsp;&lt;tag/&gt;</div>",
    "https://example.com/a/b?c=d&e=%20f#g", "user.name+tag@mail.example.org", "SELECT * FROM t WHERE a='it''s' -- x",
    "C:\\Users\\name\\file.txt", "/usr/local/lib/python3.11", "2024-02-29T23:59:60.123456Z", "$1,234,567.89 €12.50 ¥100 50%",
    "3.14159265358979323846264338327950288", "192.168.0.1:8080", "snake_case_name camelCaseName SCREAMING_CASE kebab-case",
    "\t\tif x:\n\t\t\tpass\n\n\n\n", "a=b;c=d;;e", "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, ∫₀^∞ e^{-x²}dx = √π/2", "C6H12O6 + 6O2 → 6CO2", "(((((()))))) [[[]]] {{{}}}",
]
SPECIAL = [
    "[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[cls]", "[ MASK ]", "[MASK", "<s>", "</s>", "<unk>", "<pad>", "<mask>", "<|endoftext|>",
    "<|im_start|>user\n", "<|im_end|>", "<|endoftext", "|endoftext|>", "<|ENDOFTEXT|>", "<0x0A>", "<0xE2>", "##ing", "▁the", "Ġthe", "Ċ", "@@",
]
EMOJI = [
    "👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪🇫🇷🇯🇵", "1️⃣#️⃣", "❤️", "❤︎", "🧑🏿‍🚀", "😀😃😄", "🤷🏻‍♀️", "\U0001F1E9", "\u200d", "\ufe0f", "⌚️⏰",
]
SPACES = ["\t", "\n", "\v", "\f", "\r", "\r\n", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2000", "\u2003", "\u2009", "\u200a", "\u200b",
          "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff", "\u180e", "\u00ad"]
ODD = ["\x00", "\x01", "\x07", "\x08", "\x1b[31m", "\x7f", "\x80", "\x9f", "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\U000e0041", "\u202e", "\u2066", "\u061c",
       "e\u0301", "a\u0300\u0301\u0302\u0303", "\u0301", "\u0345", "ｆｕｌｌ", "Å", "Å", "ﷺ", "ǆ", "ŉ", "ſ", "İ", "ı", "ß", "ς", "ﬆ", "\u1100\u1161\u11a8", "각", "々", "〇", "㍿", "\u0f77", "ૐ"]
BYTES = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc3", b"\xc3\x28", b"\xe2\x82", b"\xe2\x28\xa1", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x9f\x98", b"\xf0\x28\x8c\xbc",
         b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc0\xaf", b"\xe0\x80\xaf"]
SEED = 20241124


def assigned(code):
    return unicodedata.category(chr(code)) not in ("Cn", "Cs")


def strings():
    draw = random.Random(SEED)
    pool = SENTENCES + CODE + SPECIAL + EMOJI + SPACES + ODD
    out = [t.encode() for t in pool]
    for sentence in SENTENCES:
        for form in ("NFC", "NFD", "NFKC", "NFKD"):
            out.append(unicodedata.normalize(form, sentence).encode())
        out += [sentence.upper().encode(), sentence.title().encode(), sentence.replace(" ", "").encode(), (" " + sentence + " ").encode()]
    # Every 128 code points of the planes that have any, eight at a time with Latin between.
    for start in range(0, 0x110000, 0x80):
        codes = [c for c in range(start, start + 0x80) if assigned(c)]
        if codes and (start < 0x32000 or start >= 0xE0000) and not 0x20000 <= start < 0x31f00:
            chosen = sorted(draw.sample(codes, min(8, len(codes))))
            text = "".join(chr(c) for c in chosen)
            out.append((text if draw.random() < 0.5 else "ab".join(text) + " x " + text[::-1]).encode())
    for unit in ("a", "A", "_", "^", " ", "\n", " \n", "\r\n", "é", "e\u0301", "ß", "中", "א", "👍", ".", "1", "'", "-", "[CLS]", "ab ", "\u0301", "\x00", "\u200b"):
        for count in (2, 3, 7, 16, 64, 99, 100, 101, 255, 257):
            out.append((unit * count).encode())
    for first in SPACES:
        for second in SPACES[::4]:
            out.append(f"a{first}{second}b {first} c{second}".encode())
    for bad in BYTES:
        out += [bad, b"a" + bad + b"b", b"word " + bad * 3 + " né".encode() + bad]
    while len(out) < 2600:
        parts = []
        for _ in range(draw.randint(2, 5)):
            part = draw.choice(pool)
            cut = draw.randint(0, len(part))
            part = draw.choice([part, part[:cut], part[cut:], part.upper(), part.lower()])[:40].encode()
            if draw.random() < 0.15:
                part = part[: draw.randint(0, len(part))]  # may split a character
            if draw.random() < 0.03:
                part += draw.randbytes(3)
            parts.append(part)
        out.append(draw.choice([b"", b" ", b"", b"\n"]).join(parts))
    return out
