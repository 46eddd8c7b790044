#!/usr/bin/env python3
"""Runs one file of tests with the Python that has onnxruntime and TensorBoard: run.py interop_test.py [arguments]

Needs SGAN_PROGRAM, the path of spectral-gan, and SGAN_TEST_EXCHANGE, that of test_exchange. Exits with 77, ctest's
"skipped", where scripts/exchange-tests-setup was not run; with 1 if SGAN_REQUIRE_EXCHANGE is set.
"""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TREE = FOLDER.parents[2]
PYTHON = TREE / ".venv-exchange" / "bin" / "python"
TORCH = TREE / ".venv" / "bin" / "python"
STAND_INS = TREE / ".venv-exchange" / "cuda-stand-ins"
SKIPPED = 77


def main() -> None:
    if not PYTHON.exists():
        print(f"No {PYTHON}: run scripts/exchange-tests-setup.", file=sys.stderr)
        sys.exit(1 if os.environ.get("SGAN_REQUIRE_EXCHANGE") else SKIPPED)
    where = subprocess.check_output([TORCH, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    os.environ["SGAN_TORCH_PACKAGES"] = where.strip()
    # The CUDA libraries' stand-ins. Real ones beside torch come before them.
    paths = [str(STAND_INS), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    os.environ["LD_LIBRARY_PATH"] = ":".join(paths)
    name, *arguments = sys.argv[1:]
    os.chdir(FOLDER)
    os.execv(PYTHON, [str(PYTHON), "-B", "-m", "unittest", "-v", Path(name).stem, *arguments])


if __name__ == "__main__":
    main()
