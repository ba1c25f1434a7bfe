"""FP32 all-MiniLM-L6-v2: `octavo embed` against onnxruntime, same model file, same texts, one run,
the two taking turns so that both meet the same noise.

  minilm_vs_onnxruntime.py OCTAVO SNAPSHOT_OR_MODEL_FOLDER [--texts FILE] [--rounds 5] [--threads 2]

onnxruntime gets its best: sorted by length, padded batches of 32, and one text a run without
padding; the better of the two counts. Both sides start from text and end with normalised vectors
in memory or a file; loading the model is left out on both sides (octavo: the time of embedding one
text is subtracted). Prints texts and tokens a second, CPU seconds, and the ratio of wall times;
--require 0.5 exits 1 below that ratio.
Needs numpy, onnxruntime, tokenizers."""
import argparse
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import tokenizers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import nasty_strings

LIMIT = 256


def default_texts():
    """600 texts of 1 to 60 sentences' words in many languages; half are queries of a few words."""
    draw = random.Random(4)
    words = " ".join(nasty_strings.SENTENCES).split()
    return [" ".join(draw.choices(words, k=draw.choice([3, 5, 8, 12, 20, 40, 80]))) for _ in range(600)]


class Onnxruntime:
    def __init__(self, folder, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        self.names = [i.name for i in self.session.get_inputs()]
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LIMIT)

    def embed(self, texts, batch):
        encodings = self.tokenizer.encode_batch(texts)
        order = sorted(range(len(texts)), key=lambda i: -len(encodings[i].ids))
        rows = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), batch):
            part = order[start:start + batch]
            ids = np.zeros((len(part), len(encodings[part[0]].ids)), np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(part):
                ids[row, :len(encodings[i].ids)] = encodings[i].ids
                mask[row, :len(encodings[i].ids)] = 1
            every = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = self.session.run(None, {n: every[n] for n in self.names})[0]
            mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            rows[part] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        self.tokens = sum(len(e.ids) for e in encodings)
        return rows


def timed(work):
    before, start = cpu(), time.perf_counter()
    result = work()
    return time.perf_counter() - start, cpu() - before, result


def cpu():
    """CPU seconds of this process and its finished children."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("octavo")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--texts", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--require", type=float, default=0)
    options = parser.parse_args()
    texts = options.texts.read_text(encoding="utf-8").split("\n")[:-1] if options.texts else default_texts()

    with tempfile.TemporaryDirectory() as scratch:
        scratch, folder = pathlib.Path(scratch), options.model
        if not (folder / "model.onnx").exists():
            folder = scratch / "model"
            subprocess.run([options.octavo, "import", options.model, "-o", folder], check=True, stdout=subprocess.DEVNULL)
        (scratch / "texts.txt").write_text("".join(t + "\n" for t in texts), encoding="utf-8")
        (scratch / "one.txt").write_text("one\n")

        def octavo(name):
            subprocess.run([options.octavo, "embed", folder, "--model-file", "model.onnx", "--input", scratch / name,
                            "--output", scratch / "out.npy", "--threads", str(options.threads)],
                           check=True, stderr=subprocess.DEVNULL)
            return np.load(scratch / "out.npy")

        rival = Onnxruntime(folder, options.threads)
        times = {"octavo": [], "onnxruntime, batches of 32": [], "onnxruntime, one by one": []}
        for round_ in range(options.rounds + 1):
            wall, busy, ours = timed(lambda: octavo("texts.txt"))
            start_wall, start_busy, _ = timed(lambda: octavo("one.txt"))
            batched = timed(lambda: rival.embed(texts, 32))
            single = timed(lambda: rival.embed(texts, 1))
            if round_ == 0:  # warm-up, and the proof that both do the same work
                print(f"{len(texts)} texts, {rival.tokens} tokens, {options.threads} threads; "
                      f"largest difference {np.abs(ours - single[2]).max():.1e}")
                continue
            times["octavo"].append((wall - start_wall, busy - start_busy))
            times["onnxruntime, batches of 32"].append(batched[:2])
            times["onnxruntime, one by one"].append(single[:2])
        middle = {name: (statistics.median(w for w, _ in t), statistics.median(c for _, c in t)) for name, t in times.items()}
        for name, (wall, busy) in middle.items():
            print(f"{name:28} {wall:7.2f} s {len(texts) / wall:8.1f} texts/s {rival.tokens / wall:9.0f} tokens/s, CPU {busy:6.2f} s")
        ratios = [min(b[0], s[0]) / o[0] for o, b, s in zip(*times.values())]
        cpus = [min(b[1], s[1]) / o[1] for o, b, s in zip(*times.values())]
        ratio = statistics.median(ratios)
        print(f"octavo is {ratio:.2f} times as fast as the better of the two (rounds: "
              f"{', '.join(f'{r:.2f}' for r in ratios)}); in CPU time {statistics.median(cpus):.2f} times")
        sys.exit(ratio < options.require)


main()
