#!/usr/bin/env python3
"""Runs one file of browser tests with the Python that has Playwright: run.py report_test.py [unittest's arguments]

Needs SGAN_PROGRAM, the path of spectral-gan. Exits with 77, ctest's "skipped", where Chromium or the virtual
environment is missing; with 1 if SGAN_REQUIRE_BROWSER is set.
"""

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PYTHON = FOLDER.parents[1] / ".venv-browser" / "bin" / "python"
CHROMIUM = Path("/usr/bin/chromium")
SKIPPED = 77


def main() -> None:
    missing = [path for path in (CHROMIUM, PYTHON) if not path.exists()]
    if missing:
        print("No", " and no ".join(map(str, missing)) + ": run scripts/browser-tests-setup.", file=sys.stderr)
        sys.exit(1 if os.environ.get("SGAN_REQUIRE_BROWSER") else SKIPPED)
    os.environ["SGAN_CHROMIUM"] = str(CHROMIUM)
    name, *arguments = sys.argv[1:]
    os.chdir(FOLDER)
    os.execv(PYTHON, [str(PYTHON), "-B", "-m", "unittest", "-v", Path(name).stem, *arguments])


if __name__ == "__main__":
    main()
