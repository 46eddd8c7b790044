"""The page of `spectral-gan compare`: strategies over seeds, one of which never trains."""

import csv
import io
import re
from pathlib import Path

from browser import Visit
from page_case import PageCase
from program import ROOT, run

SWEEP = f"""
name: tiny
base: {ROOT}/configs/digits/base.yaml
set:
  threads: 1
  train: {{steps: 40}}
  log: {{every: 10}}
  sample: {{every: 20}}
  checkpoint: {{every: 20}}
  lipschitz: {{every: 20, bracket: true}}
  evaluation: {{every: 20, generated: 200}}
strategies:
  none: {{discriminator: {{weight: none}}}}
  spectral: {{discriminator: {{weight: spectral}}}}
  hopeless: {{optimizer: {{discriminator: {{kind: sgd, lr: 1e30}}}}}}
seeds: [0, 1, 2, 3]
scores: [fd, precision]
"""


MOST_DOWNLOADS = 10  # of one visit; Chromium asks before the next one


class ComparisonPageTest(PageCase):
    page: Path

    @classmethod
    def make(cls) -> None:
        sweep = cls.folder / "tiny.yaml"
        sweep.write_text(SWEEP)
        run("compare", sweep, "--out", cls.folder / "tiny")
        cls.page = cls.folder / "tiny" / "report.html"

    def test_looks_fine(self) -> None:
        self.assert_fine_everywhere(self.page, "comparison")

    def test_looks_fine_with_all_details_open(self) -> None:
        with self.browser.open(self.page) as visit:
            self.open_details(visit)
            visit.screenshot("comparison-open")
            self.assert_fine(visit)

    def test_says_what_failed(self) -> None:
        with self.browser.open(self.page) as visit:
            self.assertRegex(visit.page.locator("main").inner_text(), r"hopeless.*diverged")

    def test_curves_are_drawn(self) -> None:
        with self.browser.open(self.page) as visit:
            self.open_details(visit)
            curves = visit.look("curves", "main")
            self.assertGreaterEqual(len([count for count in curves if count >= 2]), 4, curves)

    def test_slider_moves_all_images(self) -> None:
        with self.browser.open(self.page) as visit:
            self.assertTrue(visit.tab_to("#sample-step"))
            # Of three strategies and three seeds; the hopeless one got no further.
            self.assertEqual(self.shown(visit), ["40"] * 6 + ["0"] * 3)
            visit.page.keyboard.press("ArrowLeft")
            self.assertEqual(self.shown(visit), ["20"] * 6 + ["0"] * 3)
            visit.page.keyboard.press("Home")
            self.assertEqual(self.shown(visit), ["0"] * 9)
            self.assert_fine(visit)

    def test_other_seeds_can_be_chosen(self) -> None:
        with self.browser.open(self.page) as visit:
            visit.page.get_by_label("Seeds").select_option("3")
            self.assertEqual(self.shown(visit), ["40", "40", "0"])
            captions = visit.page.locator("figure.run:visible figcaption").all_inner_texts()
            self.assertTrue(all("seed 3" in caption for caption in captions), captions)
            self.assert_fine(visit)

    def test_figures_are_numbered_in_their_order(self) -> None:
        with self.browser.open(self.page) as visit:
            captions = visit.page.locator("figcaption").all_text_contents()
            numbers = [int(found[1]) for caption in captions if (found := re.match(r"Figure (\d+)\.", caption))]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_data_can_be_downloaded(self) -> None:
        with self.browser.open(self.page) as visit:
            count = visit.page.locator("a[download]").count()
        files: dict[str, str] = {}
        for first in range(0, count, MOST_DOWNLOADS):
            files |= self.download(range(first, min(first + MOST_DOWNLOADS, count)))
        self.assertEqual(len(files), count, "each has a name of its own")
        self.assertGreaterEqual({name.rsplit(".")[-1] for name in files}, {"csv", "md", "tex"})
        for name, text in files.items():
            with self.subTest(name=name):
                self.assertIn("spectral", text)
                if name.endswith(".csv"):
                    rows = list(csv.reader(io.StringIO(text)))
                    self.assertGreater(len(rows), 1)
                    self.assertEqual({len(row) for row in rows}, {len(rows[0])}, "as many cells in each row")

    def download(self, links: range) -> dict[str, str]:
        """The texts behind some of the page's links, by file name."""
        files = {}
        with self.browser.open(self.page) as visit:
            self.open_details(visit)
            for link in links:
                with visit.page.expect_download() as waiting:
                    visit.page.locator("a[download]").nth(link).click()
                files[waiting.value.suggested_filename] = waiting.value.path().read_text(encoding="utf-8")
            self.assert_nothing(visit.problems, "problems")
        return files

    def test_every_chart_offers_its_data(self) -> None:
        with self.browser.open(self.page) as visit:
            charts = visit.page.locator("figure:has(svg.chart)")
            self.assertGreater(charts.count(), 5)
            self.assertEqual(visit.page.locator("figure:has(svg.chart):not(:has(a[download]))").count(), 0)

    @staticmethod
    def open_details(visit: Visit) -> None:
        visit.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")

    @staticmethod
    def shown(visit: Visit) -> list[str]:
        """The steps of the grids on show."""
        return visit.page.locator("img[data-step]:visible").evaluate_all("images => images.map(i => i.dataset.step)")
