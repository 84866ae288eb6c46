"""A headless Chromium to look at pages with: its DevTools protocol over two pipes.

For the tests and the pictures of reports (docs/screenshots.py). Debian's package is `chromium`.
"""

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing of its own may go over the network, nor may the page's.
_OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
]


def executable() -> str | None:
    """Path of Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


_BOX = (
    "(({{x, y, width, height}}) => ({{x: x + scrollX, y: y + scrollY, width, height}}))"
    "(document.querySelector('{}').getBoundingClientRect())"
)


class Page:
    """A page in a Chromium of its own; use it as a context manager.

    Members
    -------
    events : what Chromium has said of the page: (method, parameters).

    Raises RuntimeError when Chromium ends, or refuses a command.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._number = 0
        self._session: str | None = None

    def __enter__(self) -> "Page":
        self._folder = Path(tempfile.mkdtemp(prefix="gradwire-chromium-"))
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        profile = f"--user-data-dir={self._folder}"
        path = executable()
        if path is None:
            raise RuntimeError("no Chromium: Debian's package is chromium")
        command = [path, *_OPTIONS, profile, "about:blank"]
        self._child = _start(command, theirs_in, theirs_out)
        os.close(theirs_in)
        os.close(theirs_out)
        self._out, self._in = os.fdopen(ours_out, "wb"), os.fdopen(ours_in, "rb")
        self._rest = b""
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.close()
        self._in.close()
        os.kill(self._child, signal.SIGTERM)
        os.waitpid(self._child, 0)
        # Its children may still be writing there.
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command; returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while (answer := self._read()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, file: Path, *, width: int = 1100, height: int = 800, dark: bool = False) -> None:
        """Show `file` in a window of that size in pixels, and wait until all of it is there."""
        narrow = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=narrow,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=file.absolute().as_uri())
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            self._note(self._read())

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def picture(self, *, whole: bool = False, of: str = "") -> bytes:
        """PNG of the window, of the whole page, or of the element that a CSS selector finds."""
        more = {"clip": self.evaluate(_BOX.format(of)) | {"scale": 1}} if of else {}
        beyond = whole or bool(of)
        found = self.call("Page.captureScreenshot", captureBeyondViewport=beyond, **more)
        return base64.b64decode(found["data"])

    def complaints(self) -> list[str]:
        """What the page has written to its console, and what went wrong in it."""
        return [
            f"{method}: {json.dumps(told)}"
            for method, told in self.events
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        ]

    def requests(self) -> list[str]:
        """Addresses of all that the page has asked for, itself included."""
        return [
            told["request"]["url"]
            for method, told in self.events
            if method == "Network.requestWillBeSent"
        ]

    def _note(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self.events.append((message["method"], message.get("params", {})))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._in.fileno(), 1 << 16)
            if not piece:
                raise RuntimeError("Chromium has ended")
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)


def _start(command: list[str], commands: int, answers: int) -> int:
    """Start Chromium, which reads commands from its file 3 and writes answers to its file 4."""
    # Out of the way of 3 and 4.
    files = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 10) for file in (commands, answers)]
    nothing = [(os.POSIX_SPAWN_OPEN, file, os.devnull, os.O_RDWR, 0) for file in (0, 1, 2)]
    theirs = [(os.POSIX_SPAWN_DUP2, file, place) for file, place in zip(files, (3, 4), strict=True)]
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[*nothing, *theirs])
    for file in files:
        os.close(file)
    return child
