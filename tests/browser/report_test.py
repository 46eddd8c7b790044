"""The page of `spectral-gan report`, for one run and for two."""

import shutil
from pathlib import Path

from browser import NARROW, Visit
from page_case import PageCase
from program import run, train

HOSTILE = """<img src=x onerror="document.title='taken'"> & 'co'"""


def shown_images(visit: Visit) -> list[str]:
    """The steps of the grids on show, a run each."""
    return visit.page.locator("figure.run img:visible").evaluate_all("images => images.map(i => i.dataset.step)")


class ReportTest(PageCase):
    one: Path
    two: Path
    hostile: Path

    @classmethod
    def make(cls) -> None:
        none, spectral = (train(strategy, cls.folder / strategy) for strategy in ("none", "spectral"))
        cls.two, cls.one = cls.folder / "two.html", cls.folder / "one.html"
        run("report", none, spectral, "--out", cls.two)
        run("report", spectral, "--out", cls.one)

        hostile = cls.folder / HOSTILE.replace("/", "")
        shutil.copytree(none, hostile)
        config = hostile / "config.yaml"
        config.write_text(config.read_text() + f"# {HOSTILE}\n")
        cls.hostile = cls.folder / "hostile.html"
        run("report", hostile, spectral, "--out", cls.hostile)

    def test_two_runs_look_fine(self) -> None:
        self.assert_fine_everywhere(self.two, "report-two")

    def test_one_run_looks_fine(self) -> None:
        self.assert_fine_everywhere(self.one, "report-one")

    def test_curves_are_drawn(self) -> None:
        with self.browser.open(self.two) as visit:
            curves = visit.look("curves", "main")
            self.assertGreaterEqual(len(curves), 8)
            self.assertEqual([count for count in curves if count < 2], [], "every chart has a curve a run or a layer")

    def test_slider_moves_the_images(self) -> None:
        with self.browser.open(self.two) as visit:
            self.assertEqual(shown_images(visit), ["40", "40"])
            visit.page.get_by_label("Step").fill("1")
            self.assertEqual(shown_images(visit), ["20", "20"])
            self.assertEqual(visit.page.locator("#sample-step-text").inner_text(), "step 20")
            self.assert_nothing(visit.look("broken"), "broken")

    def test_slider_obeys_the_keyboard(self) -> None:
        with self.browser.open(self.two) as visit:
            self.assertTrue(visit.tab_to("#sample-step"))
            for key, steps in (("ArrowLeft", "20"), ("Home", "0"), ("ArrowRight", "20"), ("End", "40")):
                visit.page.keyboard.press(key)
                self.assertEqual(shown_images(visit), [steps, steps], key)
            self.assertEqual(visit.page.locator("#sample-step").get_attribute("aria-valuetext"), "step 40")

    def test_details_open_by_keyboard(self) -> None:
        with self.browser.open(self.two) as visit:
            self.assertTrue(visit.tab_to("summary"))
            visit.page.keyboard.press("Enter")
            self.assertEqual(visit.page.locator("details[open]").count(), 1)
            self.assert_fine(visit)

    def test_without_javascript_the_last_images_are_shown(self) -> None:
        with self.browser.open(self.two, java_script_enabled=False) as visit:
            self.assertEqual(visit.page.locator("figure.run img:visible").count(), 2)
            self.assertFalse(visit.page.locator("#sample-step").is_visible())

    def test_names_are_text(self) -> None:
        with self.browser.open(self.hostile, width=NARROW) as visit:
            self.assertEqual(visit.page.locator("img[src='x']").count(), 0)
            self.assertIn(HOSTILE, visit.page.locator("main").inner_text())
            self.assert_fine(visit)
