"""What every page is tested for."""

import shutil
import tempfile
import unittest
from pathlib import Path

from browser import NARROW, SCHEMES, WIDE, Browser, Visit


class PageCase(unittest.TestCase):
    """Tests with one Chromium and one folder for files; make() fills the folder."""

    browser: Browser
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="sgan-browser-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.make()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def make(cls) -> None:
        """Makes the pages."""

    def assert_nothing(self, findings: list[str], what: str) -> None:
        if findings:
            self.fail(f"{what}:\n  " + "\n  ".join(dict.fromkeys(findings)))

    def assert_fine(self, visit: Visit) -> None:
        """No error, no request elsewhere, accessible, legible, and not wider than the window."""
        self.assert_nothing(visit.axe(), "axe-core")
        self.assert_nothing(visit.look("faintText"), "text of low contrast")
        self.assert_nothing(visit.look("faintLines"), "curves of low contrast")
        self.assert_nothing(visit.look("crowdedText"), "text in charts")
        self.assert_nothing(visit.look("tooWide"), "wider than the window")
        self.assert_nothing(visit.look("broken"), "broken")
        self.assert_nothing(visit.problems, "problems")

    def assert_fine_everywhere(self, where: str | Path, name: str) -> None:
        """In light and dark, narrow and wide; leaves screenshots to look at."""
        for scheme in SCHEMES:
            for width in (NARROW, WIDE):
                with self.subTest(scheme=scheme, width=width), self.browser.open(where, scheme, width) as visit:
                    visit.screenshot(f"{name}-{scheme}-{width}")
                    self.assert_fine(visit)
