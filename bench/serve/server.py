#!/usr/bin/env python3
"""What people write who serve an ONNX model from Python: FastAPI, onnxruntime, tokenizers, dynamic batching.

    server.py MODEL_FOLDER FILE.onnx --port N [--wait-ms 3] [--group 16] [--threads 2]

Requests go into a queue. A loop takes the first, waits --wait-ms for more (0: takes what is there), up to 64 texts, and
hands them to one thread that tokenizes, sorts by length, and runs groups of --group, each padded to its longest; a group
is answered when it is done, not when all are. uvloop, httptools, no access log, no validation beyond the model's fields, JSON
written once: it is meant to be a good one of its kind.
"""
import argparse
import asyncio
import base64
import concurrent.futures
import contextlib
import pathlib
import sys
from typing import Literal

import fastapi
import numpy as np
import onnxruntime
import pydantic
import tokenizers
import uvicorn

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
import common
import workloads

MOST = 64  # texts of a batch


class Model:
    def __init__(self, folder, file, threads, group):
        self.group = group
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(folder / file), options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(workloads.limit_of(folder))

    def groups(self, texts):
        """Yields (indices, vectors [n, width], tokens of each) of one group after the other, the shortest texts first."""
        ids = [e.ids for e in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for begin in range(0, len(order), self.group):
            chosen = order[begin:begin + self.group]
            rows, mask = common.padded([ids[i] for i in chosen])
            feeds = {"input_ids": rows, "attention_mask": mask, "token_type_ids": np.zeros_like(rows)}
            hidden = self.session.run(None, {name: feeds[name] for name in self.inputs})[0]
            vectors = common.pooled(hidden, mask, "mean")
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield chosen, vectors, mask.sum(1)


class Batcher:
    def __init__(self, model, wait_s):
        self.model, self.wait_s = model, wait_s
        self.queue = asyncio.Queue()
        self.thread = concurrent.futures.ThreadPoolExecutor(1)

    async def embed(self, text):
        answer = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((text, answer))
        return await answer

    async def run(self):
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self.queue.get()]
            until = loop.time() + self.wait_s
            while len(batch) < MOST:
                if not self.queue.empty():
                    batch.append(self.queue.get_nowait())
                    continue
                left = until - loop.time()
                if left <= 0:
                    break
                try:
                    batch.append(await asyncio.wait_for(self.queue.get(), left))
                except TimeoutError:
                    break
            await loop.run_in_executor(self.thread, self.answer, loop, batch)

    def answer(self, loop, batch):
        done = set()
        try:
            for chosen, vectors, tokens in self.model.groups([text for text, _ in batch]):
                done.update(chosen)
                answers = [(batch[i][1], (vector, int(n))) for i, vector, n in zip(chosen, vectors, tokens)]
                loop.call_soon_threadsafe(settle, answers)
        except Exception as error:  # whatever it is, those who wait hear of it
            rest = [future for i, (_, future) in enumerate(batch) if i not in done]
            loop.call_soon_threadsafe(settle, [(future, error) for future in rest])


def settle(answers):
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


class EmbeddingRequest(pydantic.BaseModel):
    input: str | list[str]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"


def application(model, wait_s):
    batcher = Batcher(model, wait_s)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        task = asyncio.create_task(batcher.run())
        yield
        task.cancel()

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health():
        return {}

    @app.post("/v1/embeddings")
    async def embeddings(request: EmbeddingRequest):
        texts = [request.input] if isinstance(request.input, str) else request.input
        made = await asyncio.gather(*map(batcher.embed, texts))
        as_text = request.encoding_format == "base64"
        data = [{"object": "embedding", "index": i,
                 "embedding": base64.b64encode(vector.tobytes()).decode() if as_text else vector.tolist()}
                for i, (vector, _) in enumerate(made)]
        tokens = sum(n for _, n in made)
        return fastapi.responses.JSONResponse({"object": "list", "data": data, "model": request.model,
                                               "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("file")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--wait-ms", type=float, default=3)
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    app = application(Model(args.folder, args.file, args.threads, args.group), args.wait_ms / 1000)
    uvicorn.run(app, host="127.0.0.1", port=args.port, loop="uvloop", http="httptools", log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
