#!/usr/bin/env python3
"""Makes a large data set of small synthetic JPEGs, to measure what a data set's size costs. Needs Pillow.

    make_images.py /tmp/million.tar --images 1000000     a tar archive
    make_images.py /tmp/million/ --images 1000000        a folder of files
"""

import argparse
import io
import pathlib
import random
import tarfile

from PIL import Image

CLASSES = 10


def smooth_noise(size, seed):
    """An image of smooth random colours, as JPEG bytes."""
    side = max(2, size // 8)
    pixels = random.Random(seed).randbytes(3 * side * side)
    image = Image.frombytes("RGB", (side, side), pixels).resize((size, size), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=75)
    return out.getvalue()


def names(count):
    """class-0/0000000.jpg, class-1/0000001.jpg, ..."""
    for i in range(count):
        yield f"class-{i % CLASSES}/{i:07}.jpg"


def write_tar(path, count, contents):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for i, name in enumerate(names(count)):
            content = contents[i % len(contents)]
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
            tar.members.clear()  # a list of all entries, which only grows


def write_folder(path, count, contents):
    for i in range(CLASSES):
        (path / f"class-{i}").mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names(count)):
        (path / name).write_bytes(contents[i % len(contents)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="a .tar file, or a folder")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--distinct", type=int, default=2000, help="different images; the others repeat them")
    arguments = parser.parse_args()
    contents = [smooth_noise(arguments.size, seed) for seed in range(min(arguments.distinct, arguments.images))]
    write = write_tar if arguments.out.endswith(".tar") else write_folder
    write(pathlib.Path(arguments.out), arguments.images, contents)


if __name__ == "__main__":
    main()
