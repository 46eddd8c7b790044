"""The dashboard of `spectral-gan view`, over three runs, one of which has a hostile name and log."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Locator

from browser import NARROW, SCHEMES, WIDE, Visit
from page_case import PageCase
from program import Server, run, train

HOSTILE = """<img src=x onerror="document.title='taken'"> & 'co'"""
NONE, SPECTRAL = "digits/none", "digits/spectral"
# What each view shows once it is there.
TABS = {
    "curves": "#panel canvas",
    "samples": "#panel img[alt^=samples]",
    "lipschitz": "#panel tbody tr",
    "config": "#panel tbody tr",
    "log": "#panel [role=log]:not(:empty)",
}


class DashboardTest(PageCase):
    outputs: Path
    url: str

    @classmethod
    def make(cls) -> None:
        cls.outputs = cls.folder / "outputs"
        for strategy in ("none", "spectral"):
            train(strategy, cls.outputs / "digits" / strategy)
        run("report", cls.outputs / SPECTRAL)
        hostile = cls.outputs / HOSTILE
        shutil.copytree(cls.outputs / NONE, hostile)
        append(hostile / "log.txt", HOSTILE + "\n")
        server = Server(cls.outputs)
        cls.addClassCleanup(server.close)
        cls.url = server.url

    @contextmanager
    def dashboard(
        self, *runs: str, scheme: str = "light", width: int = WIDE, url: str = "", **state: str
    ) -> Iterator[Visit]:
        """The page, once it has its list; fails if it did anything that it must not."""
        address = f"{url or self.url}#{urlencode([('run', one) for one in runs] + list(state.items()))}"
        with self.browser.open(address, scheme, width) as visit:
            visit.page.wait_for_function("document.querySelectorAll('#runs .run').length > 0")
            yield visit
            self.assert_nothing(visit.problems, "problems")

    def test_looks_fine(self) -> None:
        for scheme in SCHEMES:
            for width in (NARROW, WIDE):
                with self.dashboard(NONE, SPECTRAL, scheme=scheme, width=width) as visit:
                    for tab in TABS:
                        with self.subTest(scheme=scheme, width=width, tab=tab):
                            self.open_tab(visit, tab)
                            visit.screenshot(f"dashboard-{tab}-{scheme}-{width}")
                            self.assert_fine(visit)

    def test_list_looks_fine_on_a_phone(self) -> None:
        with self.dashboard(SPECTRAL, width=NARROW) as visit:
            visit.page.get_by_role("button", name="Runs (1)").click()
            visit.screenshot(f"dashboard-list-light-{NARROW}")
            self.assert_fine(visit)

    def test_lists_runs_and_searches_them(self) -> None:
        with self.dashboard() as visit:
            rows = visit.page.locator("#runs .run:visible")
            self.wait_until(visit, rows.count, 3)
            row = self.row(visit, "spectral")
            row.get_by_text("finished").wait_for()
            row.get_by_text("step 40").wait_for()
            visit.page.get_by_label("Search runs").fill("spect")
            self.assertEqual(rows.count(), 1)
            row.wait_for()
            visit.page.get_by_label("Search runs").fill("no such run")
            self.assertEqual(rows.count(), 0)
            self.assertIn("No run matches", visit.page.locator("#runs").inner_text())

    def test_draws_a_curve_for_each_selected_run(self) -> None:
        with self.dashboard(NONE) as visit:
            self.wait_for_ink(visit, [True, False])
            self.row(visit, "spectral").get_by_role("checkbox").check()
            self.wait_for_ink(visit, [True, True])
            self.row(visit, "none").get_by_role("checkbox").uncheck()
            self.wait_for_ink(visit, [False, True])

    def test_smoothing_and_log_scale_change_the_curves(self) -> None:
        with self.dashboard(NONE, SPECTRAL, metric="ms_per_step") as visit:
            self.wait_for_ink(visit, [True, True])
            before = self.picture(visit)
            visit.page.get_by_label("Log scale").check()
            before = self.wait_for_change(visit, before)
            visit.page.get_by_label("Smoothing").fill("0.9")
            before = self.wait_for_change(visit, before)
            visit.page.get_by_role("combobox", name="Over").select_option("seconds")
            self.wait_for_change(visit, before)

    def test_curves_can_be_added_and_removed(self) -> None:
        with self.dashboard(SPECTRAL, metric="loss_d") as visit:
            visit.page.get_by_role("combobox", name="Curve").select_option("score.fd_digits_classifier")
            chart = visit.page.locator("figure", has_text="score.fd_digits_classifier")
            chart.locator("canvas").first.wait_for()
            visit.page.get_by_role("button", name="Remove score.fd_digits_classifier").click()
            chart.wait_for(state="detached")
            self.assertEqual(visit.page.locator("#panel figure").count(), 1)

    def test_timeline_moves_the_images_of_all_runs(self) -> None:
        with self.dashboard(NONE, SPECTRAL, tab="samples") as visit:
            self.wait_for_samples(visit, 40)
            slider = visit.page.get_by_label("Step")
            slider.focus()
            for key, step in (("ArrowLeft", 20), ("Home", 0), ("End", 40)):
                visit.page.keyboard.press(key)
                self.wait_for_samples(visit, step)

    def test_shows_brackets_of_the_lipschitz_constant(self) -> None:
        with self.dashboard(NONE, SPECTRAL, tab="lipschitz") as visit:
            self.wait_for_ink(visit, [True, True])
            self.assertRegex(visit.page.locator("#panel").inner_text(), r"at least \d.*at most \d")
            self.assertGreaterEqual(visit.page.locator("#panel tbody tr").count(), 3)

    def test_compares_configs(self) -> None:
        with self.dashboard(NONE, SPECTRAL, tab="config") as visit:
            row = visit.page.locator("#panel tr", has=visit.page.get_by_role("rowheader", name="discriminator.weight"))
            self.assertEqual(row.locator("td").all_inner_texts(), ["none", "spectral"])
            common = visit.page.get_by_role("rowheader", name="train.batch", exact=True)
            self.assertEqual(common.count(), 0)
            visit.page.get_by_label("All keys").check()
            self.assertEqual(common.count(), 1)

    def test_shows_the_log(self) -> None:
        with self.dashboard(SPECTRAL, tab="log") as visit:
            visit.page.get_by_role("log").get_by_text("finished").wait_for()

    def test_names_and_logs_are_text(self) -> None:
        with self.dashboard(HOSTILE, SPECTRAL) as visit:
            for tab in TABS:
                self.open_tab(visit, tab)
            visit.page.get_by_role("log").get_by_text(HOSTILE).wait_for()
            self.assertIn(HOSTILE, visit.page.locator("#runs").inner_text())
            self.assertIn(HOSTILE, visit.page.locator("#legend").inner_text())
            self.assertEqual(visit.page.locator("img[src='x']").count(), 0)

    def test_opens_a_report(self) -> None:
        with self.dashboard() as visit:
            with visit.page.expect_popup() as opened:
                self.row(visit, "spectral").get_by_role("link", name="Report of spectral").click()
            opened.value.get_by_role("heading", level=1).get_by_text("spectral").wait_for()

    def test_address_keeps_what_is_shown(self) -> None:
        with self.dashboard(NONE) as visit:
            self.row(visit, "spectral").get_by_role("checkbox").check()
            self.open_tab(visit, "samples")
            visit.page.get_by_label("Step").press("Home")
            self.wait_for_samples(visit, 0)
            visit.page.reload()
            self.wait_for_samples(visit, 0)
            self.assertTrue(visit.page.get_by_role("tab", name="Samples").get_attribute("aria-selected"))

    def test_works_by_keyboard_alone(self) -> None:
        with self.dashboard() as visit:
            press = visit.page.keyboard.press
            self.assertTrue(visit.tab_to("#search"))
            visit.page.keyboard.type("spectral")
            self.assertTrue(visit.tab_to("#runs input[type=checkbox]"))
            if not visit.page.locator("#runs input[type=checkbox]").is_checked():
                press("Space")
            self.assertTrue(visit.page.locator("#runs input[type=checkbox]").is_checked())
            self.assertTrue(visit.tab_to("[role=tab]"))
            press("ArrowRight")
            visit.page.get_by_alt_text("samples of spectral at step 40").wait_for()
            self.assertTrue(visit.tab_to("#panel input[type=range]"))
            press("Home")
            visit.page.get_by_alt_text("samples of spectral at step 0").wait_for()

    def test_follows_a_run_that_trains(self) -> None:
        live = self.folder / "live"
        shutil.copytree(self.outputs / NONE, live / "run")
        server = Server(live)
        self.addCleanup(server.close)
        with self.dashboard("run", url=server.url) as visit:
            visit.page.evaluate("window.notReloaded = true")
            visit.page.get_by_text("live", exact=True).wait_for()
            self.wait_for_ink(visit, [True])
            before = self.picture(visit)
            point = json.loads((live / "run/metrics.jsonl").read_text().splitlines()[-1])
            append(live / "run/metrics.jsonl", json.dumps({**point, "step": 50, "loss_d": 30}) + "\n")
            visit.page.locator("#runs .run").get_by_text("step 50").wait_for()
            self.wait_for_change(visit, before)
            shutil.copytree(self.outputs / SPECTRAL, live / "second")
            visit.page.locator("#runs .run").nth(1).wait_for()
            self.open_tab(visit, "log")
            append(live / "run/log.txt", "one more line\n")
            visit.page.get_by_role("log").get_by_text("one more line").wait_for()
            self.assertTrue(visit.page.evaluate("window.notReloaded"))

    @staticmethod
    def row(visit: Visit, folder: str) -> Locator:
        return visit.page.locator("#runs .run", has=visit.page.get_by_text(folder, exact=True))

    @staticmethod
    def open_tab(visit: Visit, tab: str) -> None:
        visit.page.get_by_role("tab", name=tab.capitalize()).click()
        visit.page.locator(TABS[tab]).first.wait_for()

    def wait_for_ink(self, visit: Visit, wanted: list[bool]) -> None:
        """Until the first chart shows the colours of the wanted slots and no others."""
        style = "i => getComputedStyle(document.documentElement).getPropertyValue(`--run${i}`)"
        colours = [visit.page.evaluate(style, slot) for slot in range(len(wanted))]

        def seen() -> list[bool]:
            charts = visit.look("inkOf", ".canvas", colours)
            return [pixels > 20 for pixels in charts[0]] if charts else []

        self.wait_until(visit, seen, wanted)

    @staticmethod
    def picture(visit: Visit) -> str:
        return visit.page.locator(".canvas").first.evaluate(
            "box => [...box.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join() + box.innerText"
        )

    def wait_for_change(self, visit: Visit, before: str) -> str:
        self.wait_until(visit, lambda: self.picture(visit) != before, True)
        return self.picture(visit)

    def wait_for_samples(self, visit: Visit, step: int) -> None:
        """Until both runs' grids of the step are there."""
        loaded = "images => images.map(image => image.complete && image.naturalWidth > 0)"
        images = visit.page.get_by_alt_text(f"at step {step}")
        self.wait_until(visit, lambda: images.evaluate_all(loaded), [True, True])

    def wait_until(self, visit: Visit, look: Callable[[], Any], wanted: Any) -> None:
        """For five seconds at most."""
        for _ in range(50):
            if (seen := look()) == wanted:
                return
            visit.page.wait_for_timeout(100)
        self.assertEqual(seen, wanted)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
