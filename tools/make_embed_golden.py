"""What transformers makes of some texts with all-MiniLM-L6-v2: mean pooling, normalised, texts cut
to 256 tokens, as sentence-transformers does with this model.

  make_embed_golden.py MINILM_FOLDER OUTPUT_FOLDER

Writes minilm.txt (a text a line) and minilm.npy. Made with transformers 4.57.6, torch 2.15.0,
attention "eager", float32, one text a batch; pooled in float64."""
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

TEXTS = [
    "How do I reset my password?",
    "To set a new password, open the settings and choose Security.",
    "The weather in Lisbon is mild in winter.",
    "Der Klimawandel verändert die Landwirtschaft in Brandenburg.",
    "Les abeilles pollinisent un tiers de nos cultures.",
    "El tren de alta velocidad llega a las seis de la tarde.",
    "La ricetta richiede due uova e un po' di farina.",
    "Pociąg do Krakowa odjeżdża z peronu trzeciego.",
    "Москва находится на берегах одноимённой реки.",
    "Η Ακρόπολη φαίνεται από όλη την πόλη.",
    "القطط تحب النوم في الشمس.",
    "ספריות פתוחות גם בימי שישי.",
    "दिल्ली में आज बारिश हो रही है।",
    "今年的收成比去年好得多。",
    "東京の地下鉄は時間に正確です。",
    "서울은 한강을 끼고 있는 도시이다.",
    "def add(a, b):\n    return a + b".replace("\n", " "),
    "SELECT name, price FROM parts WHERE stock < 10 ORDER BY price;",
    "👍🏽 great!!! see https://example.com/a?b=c&d=e",
    "",
    "ok",
    "The valve closes when the pressure rises. " * 60,  # far more than 256 tokens
]
LIMIT = 256


def main(model, output):
    tokenizer = AutoTokenizer.from_pretrained(model)
    net = AutoModel.from_pretrained(model, attn_implementation="eager", dtype=torch.float32).eval()
    rows = []
    for text in TEXTS:
        batch = tokenizer(text, truncation=True, max_length=LIMIT, return_tensors="pt")
        with torch.no_grad():
            mean = net(**batch).last_hidden_state[0].double().mean(0)
        rows.append((mean / mean.norm()).float().numpy())
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "minilm.txt").write_text("".join(t + "\n" for t in TEXTS), encoding="utf-8")
    np.save(output / "minilm.npy", np.stack(rows))


main(*sys.argv[1:])
