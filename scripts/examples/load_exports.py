#!/usr/bin/env python3
"""Draws 16 images from each file that `spectral-gan export RUN --format …` wrote, into FILE.pgm or FILE.ppm:

    load_exports.py generator.onnx generator_step_00001000.py step-00001000-generator.safetensors

Of a generator of points it prints 16 points, of a discriminator its values of 16 images or points of noise.

.onnx needs onnxruntime and numpy; .py (of --format torchscript-compatible) PyTorch alone, and the .safetensors beside
it. A .safetensors file (of --format safetensors) holds tensors alone and needs a network's class: that of FILE.py or
<network>_step_<step>.py beside it, which --format torchscript-compatible writes into the same folder.
"""

import importlib.util
import json
import re
import sys
from pathlib import Path


def draw(network: str, config: str, shape: list[int]) -> list:
    """What the network of such a config takes, as nested lists: latents of its prior, or noise from -1 to 1."""
    import random

    source = random.Random(0)
    normal = network == "generator" and re.search(r"^generator:\n(  .*\n)*?  prior: normal$", config, re.MULTILINE)

    def numbers(sizes: list[int]):
        if not sizes:
            return source.gauss(0, 1) if normal else source.uniform(-1, 1)
        return [numbers(sizes[1:]) for _ in range(sizes[0])]

    return numbers([16, *shape])


def from_onnx(path: Path):
    import numpy
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    source = session.get_inputs()[0]
    numbers = numpy.array(draw(about["network"], about["config"], source.shape[1:]), dtype=numpy.float32)
    return session.run(None, {source.name: numbers})[0]


def from_module(path: Path, weights: Path):
    import torch

    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    network = torch.jit.script(module.load(weights))  # or without: module.load() is an nn.Module
    about = metadata(weights)
    return network(torch.tensor(draw(about["network"], about["config"], list(module.INPUT_SHAPE))))


def metadata(path: Path) -> dict[str, str]:
    """Of a safetensors file, whose JSON header begins after 8 bytes of its length."""
    with path.open("rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]


def module_for(weights: Path) -> Path:
    about = metadata(weights)
    name = f"{about['network']}_step_{int(about['step']):08}.py"
    for path in (weights.with_suffix(".py"), weights.with_name(name)):
        if path.exists():
            return path
    sys.exit(f"{weights} holds tensors alone. Write its class beside it, as {weights.with_name(name)}:\n"
             f"  spectral-gan export RUN --network {about['network']} --format torchscript-compatible")


def write_image(images, path: Path) -> None:
    """A 4×4 grid of images (16, C, H, W) in [-1, 1] as binary PGM or PPM."""
    count, channels, height, width = images.shape
    rows = []
    for row in range(4 * height):
        for column in range(4 * width):
            image = images[4 * (row // height) + column // width]
            for channel in range(3 if channels == 3 else 1):
                value = float(image[channel][row % height][column % width])
                rows.append(max(0, min(255, round(127.5 * (value + 1)))))
    path = path.with_name(path.name + (".ppm" if channels == 3 else ".pgm"))
    path.write_bytes(f"P{6 if channels == 3 else 5} {4 * width} {4 * height} 255\n".encode() + bytes(rows))
    print(path)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in map(Path, sys.argv[1:]):
        if path.suffix == ".onnx":
            output = from_onnx(path)
        elif path.suffix == ".py":
            output = from_module(path, path.with_suffix(".safetensors"))
        else:
            output = from_module(module_for(path), path)
        if len(output.shape) == 4:
            write_image(output, path)
        else:
            print(path, *output.tolist(), sep="\n  ")


if __name__ == "__main__":
    main()
