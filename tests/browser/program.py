"""Runs spectral-gan: the browser tests look at pages that it made of trainings that it did."""

import os
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["SGAN_PROGRAM"]

# Seconds on one core, with all that a page can show.
TINY = (
    "threads=1 train.steps=40 sample.every=20 log.every=10 watchdog.every=10 lipschitz.every=20 lipschitz.bracket=true "
    "checkpoint.every=20 evaluation.every=20 evaluation.metrics=fd,pr evaluation.generated=200"
).split()


def run(*arguments: str | Path, folder: Path = ROOT) -> str:
    """Its stdout. Fails with what it said on stderr."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        command = " ".join(["spectral-gan", *map(str, arguments)])
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def train(strategy: str, out: Path, *overrides: str) -> Path:
    """A run of the digits; out is its folder."""
    run("train", ROOT / "configs/digits" / f"{strategy}.yaml", *TINY, *overrides, "--out", out)
    return out


class Server:
    """`spectral-gan view FOLDER`, until close()."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [PROGRAM, "view", str(folder), "--no-open", "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        self.url = self._read_url()

    def _read_url(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("http://"):
                return line.strip()
        raise AssertionError(f"spectral-gan view ended with {self._process.wait()} and named no URL")

    def close(self) -> None:
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError("spectral-gan view did not end within 10 s of Ctrl-C") from None
        finally:
            self._process.stdout.close()
