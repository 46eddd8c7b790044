"""The page that `spectral-gan lipschitz` writes beside its numbers."""

from pathlib import Path

from page_case import PageCase
from program import run, train


class LipschitzPageTest(PageCase):
    page: Path

    @classmethod
    def make(cls) -> None:
        spectral = train("spectral", cls.folder / "spectral")
        run("lipschitz", spectral, "--points", "64", "--starts", "2", "--climb", "5", "--layer", "conv0")
        cls.page = spectral / "lipschitz/step-00000040.html"

    def test_looks_fine(self) -> None:
        self.assert_fine_everywhere(self.page, "lipschitz")

    def test_curves_are_drawn(self) -> None:
        with self.browser.open(self.page) as visit:
            self.assertEqual(visit.look("curves", "main"), [3, 3, 1])
