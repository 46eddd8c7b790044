"""Writes digits_pixels.inc from the digits that scikit-learn ships.

    pip download --no-deps scikit-learn
    python data/embed_digits.py scikit_learn-*.whl > data/digits_pixels.inc
"""

import gzip
import sys
import zipfile

HEADER = """\
// The UCI optical handwritten digits, as scikit-learn ships them (sklearn/datasets/data/digits.csv.gz): 1,797 images.
// One image a line: 8 rows of 8 pixels, 'a' + value 0..16 (background to ink), then the digit. Made by embed_digits.py.
// E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998.
// https://archive.ics.uci.edu/dataset/80. Licence CC BY 4.0, https://creativecommons.org/licenses/by/4.0/. The values
// are unchanged, only their notation differs."""

with zipfile.ZipFile(sys.argv[1]) as wheel:
    table = gzip.decompress(wheel.read("sklearn/datasets/data/digits.csv.gz")).decode()

print(HEADER)
for line in table.splitlines():
    *pixels, digit = (int(value) for value in line.split(","))
    assert len(pixels) == 64 and min(pixels) >= 0 and max(pixels) <= 16
    print('"' + "".join(chr(ord("a") + value) for value in pixels) + str(digit) + '",')
