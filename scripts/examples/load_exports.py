#!/usr/bin/env python3
"""Draws 16 images from each file that `spectral-gan export RUN --format …` wrote, into FILE.pgm or FILE.ppm:

    load_exports.py generator.onnx generator_step_00001000.py generator.safetensors

.onnx needs onnxruntime and numpy; .py (of --format torchscript-compatible) PyTorch alone; .safetensors PyTorch and
safetensors, and shows the pattern for a network of your own: here it lists what there is to load.
"""

import importlib.util
import sys
from pathlib import Path


def from_onnx(path: Path):
    import numpy
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    latent = session.get_inputs()[0]
    numbers = numpy.random.default_rng(0).standard_normal((16, *latent.shape[1:]), dtype=numpy.float32)
    return session.run(None, {latent.name: numbers})[0]


def from_module(path: Path):
    import torch

    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    network = torch.jit.script(module.load())  # or without: module.load() is an nn.Module
    return network(torch.randn(16, *module.INPUT_SHAPE, generator=torch.Generator().manual_seed(0)))


def from_safetensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        print(file.metadata()["network"], "of step", file.metadata()["step"])
        for name in file.keys():
            print(f"  {name} {tuple(file.get_slice(name).get_shape())}")
    # network.load_state_dict(safetensors.torch.load_file(path)) where the modules have these names


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
        if path.suffix == ".safetensors":
            from_safetensors(path)
        else:
            write_image(from_onnx(path) if path.suffix == ".onnx" else from_module(path), path)


if __name__ == "__main__":
    main()
