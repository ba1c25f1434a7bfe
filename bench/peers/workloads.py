#!/usr/bin/env python3
"""What every engine is asked to do, written once to a file that all of them read: the same token ids for all.

    workloads.py MODEL_FOLDER OUT.json [--longest 8192]

MODEL_FOLDER holds tokenizer.json and config.json. Where the tokenizer is a trained one, texts are made of words and the
ids are theirs, so that engines can also be measured from text to vector; the random model of tools/make_bench_model.py
gets random ids, which touch the whole embedding table as a language does and its byte tokens would not.
Needs tokenizers.
"""
import argparse
import json
import pathlib
import random

LENGTHS = (8, 32, 128, 512, 2048, 8192)
SEED = 5
WORDS = """a the of and to in is was for on that with as by at from his are an be this which or has had not but its were they
their one all we you can there been more when who will no out so what up her said if about into than them other some time
could these two may first then do any like my now over such our man even most made after also did many before must
through back years where much your way well down should because each just state people those too mister how little good
world make very year still see work life under never day same another know while last might great old since against go
search engine vector model language cell protein market court river mountain music history theory energy water system
network memory compiler function array string thread kernel database index query result weight layer token sentence""".split()


def limit_of(folder):
    """Tokens that users of the model give it at most, and that its positions allow."""
    config = json.loads((folder / "config.json").read_text())
    positions = config.get("max_position_embeddings", 512)
    file = folder / "sentence_bert_config.json"
    return min(positions, json.loads(file.read_text()).get("max_seq_length", positions)) if file.exists() else positions


def positions_of(folder):
    return json.loads((folder / "config.json").read_text()).get("max_position_embeddings", 512)


class Texts:
    def __init__(self, folder, draw):
        import tokenizers

        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.draw = draw

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def of_length(self, length):
        """As many words as have so many tokens: steps that halve, then one word at a time."""
        words = []
        while (missing := length - len(self.ids(" ".join(words)))) != 0:
            if missing > 0:
                words += self.draw.choices(WORDS, k=max(1, missing // 2))
            else:
                del words[-1 if missing > -4 else missing // 4:]
        text = " ".join(words)
        assert len(self.ids(text)) == length
        return text


class RandomIds:
    def __init__(self, vocabulary, draw):
        self.vocabulary, self.draw = vocabulary, draw

    def of_length(self, length):
        return [self.draw.randrange(self.vocabulary) for _ in range(length)]


def make(folder, longest=8192):
    """{"limit", "workloads": {name: {"ids": [[...]], "texts": [...] or absent, "tokens": n}}}, shortest first."""
    draw = random.Random(SEED)
    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    byte_tokens = tokenizer["model"]["type"] == "BPE" and not tokenizer["model"]["merges"]
    source = RandomIds(config["vocab_size"], draw) if byte_tokens else Texts(folder, draw)
    longest = min(longest, positions_of(folder))
    mixed_longest = min(512, limit_of(folder))
    # Lengths spread evenly from the shortest to the longest, in an order that is no help.
    mixed = [8 + i * (mixed_longest - 8) // 63 for i in range(64)]
    draw.shuffle(mixed)
    wanted = {f"1 x {n}": [n] for n in LENGTHS if n <= longest}
    wanted["32 x 128"] = [128] * 32
    wanted["mixed"] = mixed
    wanted["check"] = [8, 32, 96, 33, 8, 64, 17, min(200, longest)]  # for comparing vectors, not timed
    workloads = {}
    for name, lengths in wanted.items():
        made = [source.of_length(n) for n in lengths]
        ids = made if byte_tokens else [source.ids(t) for t in made]
        workloads[name] = {"ids": ids, "tokens": sum(map(len, ids))}
        if not byte_tokens:
            workloads[name]["texts"] = made
    return {"limit": limit_of(folder), "positions": positions_of(folder), "mixed": [min(mixed), max(mixed)],
            "workloads": workloads}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--longest", type=int, default=8192)
    args = parser.parse_args()
    args.out.write_text(json.dumps(make(args.folder, args.longest)) + "\n")


if __name__ == "__main__":
    main()
