"""The pages that `spectral-gan quantize` writes of a run and of a comparison."""

from pathlib import Path

from page_case import PageCase
from program import ROOT, run, train

SWEEP = f"""
name: tiny
base: {ROOT}/configs/digits/base.yaml
set:
  threads: 1
  train: {{steps: 20}}
  log: {{every: 10}}
  lipschitz: {{every: 0}}
  evaluation: {{every: 20, generated: 200}}
strategies:
  plain: {{generator: {{weight: none}}}}
  max_normalized: {{generator: {{quantizer: wnq}}, quantizer: {{bits: 0, first_last_bits: 0}}}}
baseline: plain
seeds: [0, 1, 2]
scores: [fd]
"""


class QuantizationPageTest(PageCase):
    page: Path

    @classmethod
    def make(cls) -> None:
        trained = train("spectral", cls.folder / "run", "generator.quantizer=wnq", "quantizer.bits=4")
        run("quantize", trained, "--bits", "8,4,2", "--generated", "200")
        cls.page = trained / "quantized/quantize.html"

    def test_looks_fine(self) -> None:
        self.assert_fine_everywhere(self.page, "quantization")

    def test_curves_are_drawn(self) -> None:
        with self.browser.open(self.page) as visit:
            # SQNR and PSNR of five kinds of grids; the trained one is a single point without an error.
            self.assertEqual(visit.look("curves", "main")[:2], [4, 4])


class AblationPageTest(PageCase):
    page: Path

    @classmethod
    def make(cls) -> None:
        sweep = cls.folder / "tiny.yaml"
        sweep.write_text(SWEEP)
        run("compare", sweep, "--out", cls.folder / "tiny")
        run("quantize", cls.folder / "tiny", "--bits", "8,4,2", "--generated", "200")
        cls.page = cls.folder / "tiny" / "quantization.html"

    def test_looks_fine(self) -> None:
        self.assert_fine_everywhere(self.page, "ablation")
