"""Pages in Debian's Chromium, with all that they do wrong on record."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, WebSocket, sync_playwright

SCHEMES = ("light", "dark")
NARROW, WIDE = 390, 1400  # a phone and a desk, in CSS pixels
HEIGHT = 900
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build/screenshots"


class Visit:
    """One page that is open; `problems` is what went wrong since, and should stay empty."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.problems: list[str] = []
        # The context's events are those of frames and of pages that this one opens, too.
        context.on("console", self._on_console)
        context.on("weberror", lambda web_error: self.problems.append(f"uncaught: {web_error.error}"))
        context.on("dialog", self._on_dialog)
        context.on("request", self._on_request)
        self.page: Page = context.new_page()
        self.page.on("websocket", self._on_websocket)
        self.page.goto(url)

    def _on_console(self, message: ConsoleMessage) -> None:  # violations of the content security policy come here too
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_websocket(self, socket: WebSocket) -> None:
        self.problems.append(f"web socket to {socket.url}")

    def _on_request(self, request: Request) -> None:
        if not is_own(request.url, self.url):
            self.problems.append(f"request to {request.url}")

    def axe(self) -> list[str]:
        """What axe-core objects to, one line a rule."""
        self.page.evaluate(axe_source())  # no <script>: the page's policy would refuse it
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        return [f"{rule['id']}: {rule['help']}: {[node['html'][:200] for node in rule['nodes']]}" for rule in found]

    def look(self, script: str, *arguments: Any) -> Any:
        """Calls a function of looks.js."""
        call = f"(given) => {{ {looks_source()}; return {script}(...given) }}"
        return self.page.evaluate(call, list(arguments))

    def tab_to(self, selector: str, most: int = 60) -> bool:
        """Presses Tab until the element has the focus."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if self.page.locator(selector).evaluate_all("elements => elements.includes(document.activeElement)"):
                return True
        return False

    def screenshot(self, name: str) -> None:
        folder = Path(os.environ.get("SGAN_SCREENSHOTS", SCREENSHOTS))
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)


class Browser:
    """Chromium, shared by the tests of a file."""

    def __init__(self) -> None:
        self._playwright = sync_playwright().start()
        # Without Chromium's own sandbox, Playwright's default: it does not work for root and in containers.
        self._browser = self._playwright.chromium.launch(executable_path=os.environ["SGAN_CHROMIUM"])

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()

    @contextmanager
    def open(self, where: str | Path, scheme: str = "light", width: int = WIDE, **settings: Any) -> Iterator[Visit]:
        """A page as a fresh profile sees it; a file with the network off."""
        url = where.resolve().as_uri() if isinstance(where, Path) else where
        context = self._browser.new_context(
            offline=url.startswith("file:"),
            color_scheme=scheme,
            viewport={"width": width, "height": HEIGHT},
            accept_downloads=True,
            **settings,
        )
        context.set_default_timeout(10_000)
        try:
            yield Visit(context, url)
        finally:
            context.close()


def is_own(url: str, page: str) -> bool:
    """Whether a request stays where the page came from; a page that is a file may ask for nothing but itself."""
    if url.startswith(("data:", "blob:")):
        return True
    asked, own = urlsplit(url), urlsplit(page)
    if own.scheme == "file":
        return asked._replace(fragment="") == own._replace(fragment="")
    return (asked.scheme, asked.netloc) == (own.scheme, own.netloc)


@cache
def axe_source() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@cache
def looks_source() -> str:
    return (Path(__file__).parent / "looks.js").read_text(encoding="utf-8")
