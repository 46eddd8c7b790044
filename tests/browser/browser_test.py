"""The checks themselves: each finds what it is there for, in pages that are wrong in one thing."""

import functools
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

from browser import NARROW
from page_case import PageCase

PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Page</title><link rel="icon" href="data:,">
{head}<style>body{{background:#fff;color:#111}}</style></head><body><main><h1>Page</h1>{body}</main></body></html>"""

CHART = """<svg class="chart" role="img" viewBox="0 0 200 100" width="200" height="100"><title>Chart</title>
<style>text{{font:11px sans-serif;fill:{text}}} .line{{fill:none;stroke:{line}}}</style>
<g><path class="line" d="M0 50L190 60"/></g><text x="10" y="{first}">one</text><text x="10" y="80">two</text></svg>"""


def chart(text: str = "#111", line: str = "#0072b2", first: int = 40) -> str:
    return CHART.format(text=text, line=line, first=first)


class BrowserTest(PageCase):
    def page(self, body: str, head: str = "") -> Path:
        path = self.folder / "page.html"
        path.write_text(PAGE.format(head=head, body=body))
        return path

    def assert_found(self, findings: list[str], *parts: str) -> None:
        self.assertEqual(len(findings), len(parts), findings)
        for part, finding in zip(parts, findings, strict=True):
            self.assertIn(part, finding)

    def problems(self, body: str, head: str = "") -> list[str]:
        with self.browser.open(self.page(body, head)) as visit:
            visit.page.wait_for_timeout(100)
            return visit.problems

    def look(self, script: str, body: str) -> list[str]:
        with self.browser.open(self.page(body), width=NARROW) as visit:
            return visit.look(script)

    def test_finds_nothing_in_a_page_that_is_fine(self) -> None:
        with self.browser.open(self.page(chart())) as visit:
            self.assertEqual(visit.look("curves", "main"), [1])
            self.assert_fine(visit)

    def test_finds_errors(self) -> None:
        self.assert_found(self.problems("<script>console.error('lost')</script>"), "console error: lost")
        self.assert_found(self.problems("<script>throw Error('lost')</script>"), "uncaught: lost")
        self.assert_found(self.problems("<script>alert('lost')</script>"), "dialog: lost")

    def test_finds_violations_of_the_policy(self) -> None:
        policy = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
        img-src data:">"""
        self.assert_found(self.problems("<script>1</script>", policy), "inline script violates")

    def test_finds_requests_elsewhere(self) -> None:
        found = self.problems("<img alt='' src='https://example.org/a.png'>")
        self.assertIn("request to https://example.org/a.png", found)
        found = self.problems("<img alt='' src='other.png'>")
        self.assertTrue(any(one.startswith("request to file://") for one in found), found)

    def test_a_server_may_be_asked_by_its_own_pages_only(self) -> None:
        self.page("<img alt='' src='page.html'><script src='http://127.0.0.1:9/a.js'></script>")
        handler = functools.partial(QuietHandler, directory=self.folder)
        with HTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever).start()
            try:
                with self.browser.open(f"http://127.0.0.1:{server.server_port}/page.html") as visit:
                    requests = [one for one in visit.problems if one.startswith("request")]
            finally:
                server.shutdown()
        self.assertEqual(requests, ["request to http://127.0.0.1:9/a.js"])

    def test_finds_what_axe_objects_to(self) -> None:
        with self.browser.open(self.page("<input type='range'>")) as visit:
            self.assert_found(visit.axe(), "label: ")

    def test_finds_low_contrast(self) -> None:
        self.assert_found(self.look("faintText", "<p style='color:#777'>grey</p>"), "4.48 : 1: grey")
        self.assert_found(self.look("faintText", "<p style='color:#767676'>grey</p>"))
        self.assert_found(self.look("faintText", "<div style='opacity:.5'><p>pale</p></div>"), "pale")
        self.assert_found(self.look("faintText", chart(text="#999")), "one", "two")
        self.assert_found(self.look("faintLines", chart(line="#999")), "2.85 : 1")

    def test_finds_crowded_text(self) -> None:
        self.assert_found(self.look("crowdedText", chart(first=75)), "overlap: one | two")
        self.assert_found(self.look("crowdedText", chart(first=5)), "leaves the chart: one")

    def test_finds_what_makes_the_page_scroll_sideways(self) -> None:
        wide = "<div style='width:500px'>wide</div>"
        self.assert_found(self.look("tooWide", wide)[1:], "width:500px")
        self.assert_found(self.look("tooWide", f"<div style='overflow-x:auto'>{wide}</div>"))

    def test_finds_broken_images_and_values(self) -> None:
        self.assert_found(self.look("broken", "<img alt='grid' src='data:image/png;base64,AA'>"), "broken image: grid")
        self.assert_found(self.look("broken", "<p>step undefined</p>"), "says step undefined")

    def test_reaches_elements_by_tab(self) -> None:
        with self.browser.open(self.page("<button>a</button><button id='b'>b</button><a id='c'>c</a>")) as visit:
            self.assertTrue(visit.tab_to("#b"))
            self.assertFalse(visit.tab_to("#c"), "a link to nowhere takes no focus")


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass
