#!/usr/bin/env python3
"""Exports a snapshot to FP32 ONNX the way other people do: torch.onnx, legacy (TorchScript) or dynamo. The result
is foreign input for octavo's executor, smoother and quantizer.

    tools/export_torch.py SRC OUT.onnx --exporter legacy|dynamo [--attention eager|sdpa] [--opset 17]

SRC is a snapshot folder or a GGUF file. Decoders get their mask and positions from a wrapper: the mask code of
transformers cannot be traced by the legacy exporter.
"""
import argparse
import logging
import pathlib
import warnings

import onnx
import torch
import transformers


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask,
                          token_type_ids=token_type_ids).last_hidden_state


class Decoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.named = model.config.model_type in ("qwen2", "qwen3")  # these take masks by kind of layer
        self.window = getattr(model.config, "sliding_window", None)

    def forward(self, input_ids, attention_mask):
        positions = torch.arange(input_ids.shape[1])
        allowed = positions[None, :] <= positions[:, None]
        if self.window:
            allowed = allowed & (positions[None, :] > positions[:, None] - self.window)
        allowed = allowed[None, None] & attention_mask[:, None, None, :].to(torch.bool)
        mask = torch.where(allowed, 0.0, torch.finfo(torch.float32).min)
        return self.model(input_ids=input_ids, attention_mask={"full_attention": mask} if self.named else mask,
                          position_ids=positions[None], use_cache=False).last_hidden_state


def load(source, attention):
    source = pathlib.Path(source)
    where = dict(pretrained_model_name_or_path=source)
    if source.suffix == ".gguf":
        where = dict(pretrained_model_name_or_path=source.parent, gguf_file=source.name)
    model = transformers.AutoModel.from_pretrained(**where, dtype=torch.float32, attn_implementation=attention).eval()
    return (Encoder if model.config.model_type == "bert" else Decoder)(model).eval()


def export(wrapper, out, exporter, opset):
    ids = torch.tensor([[3, 5, 7, 11, 13], [17, 19, 23, 0, 0]])
    arguments = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    if isinstance(wrapper, Encoder):
        arguments["token_type_ids"] = torch.zeros_like(ids)
    axes = {name: {0: "batch", 1: "sequence"} for name in [*arguments, "last_hidden_state"]}
    options = dict(input_names=list(arguments), output_names=["last_hidden_state"], opset_version=opset)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        if exporter == "legacy":
            torch.onnx.export(wrapper, tuple(arguments.values()), str(out), dynamo=False, dynamic_axes=axes, **options)
        else:
            batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence")
            program = torch.onnx.export(
                wrapper, tuple(arguments.values()), dynamo=True, verbose=False,
                dynamic_shapes=tuple({0: batch, 1: sequence} for _ in arguments), **options)
            program.save(str(out), external_data=False)
    onnx.checker.check_model(str(out))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--exporter", choices=["legacy", "dynamo"], default="legacy")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="eager")
    parser.add_argument("--opset", type=int)
    args = parser.parse_args()
    export(load(args.source, args.attention), args.out, args.exporter,
           args.opset or (17 if args.exporter == "legacy" else 18))


if __name__ == "__main__":
    main()
