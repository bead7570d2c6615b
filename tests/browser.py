"""Headless Chromium over its DevTools pipe: pages are opened, clicked and read as a person's browser would, without a further package."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

QUIET = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--proxy-server=127.0.0.1:9",  # nobody listens there: what would be fetched fails
)
PATIENCE = 60.0
"""Seconds for an answer."""


def program() -> str:
    """Return Chromium. Where it is absent the test fails on Linux and is skipped elsewhere."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and sys.platform != "linux":
        pytest.skip("Chromium is not installed")
    assert found, "the pages are tested in Chromium, which is not installed: apt install chromium"
    return found


class Browser:
    """A running Chromium with one tab.

    Args:
        send, receive: the pipe: messages are JSON, each ended by a zero byte.
    """

    def __init__(self, send: int, receive: int) -> None:
        self.send, self.receive, self.left, self.count, self.session = send, receive, b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer; what is told meanwhile is kept in ``events``."""
        self.count += 1
        asked = {"id": self.count, "method": method, "params": parameters, **({"sessionId": self.session} if self.session else {})}
        os.write(self.send, json.dumps(asked).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self.count:
                assert "error" not in told, f"{method}: {told['error']}"
                answer: dict[str, Any] = told["result"]
                return answer
            self.events.append(told)

    def wait(self, event: str) -> None:
        """Wait until Chromium tells of an event."""
        while not any(told.get("method") == event for told in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.left:
            ready, _, _ = select.select([self.receive], [], [], max(0.0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            read = os.read(self.receive, 2**16)
            assert read, "Chromium has ended"
            self.left += read
        message, _, self.left = self.left.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, page: Path, width: int = 1400, dark: bool = False) -> None:
        """Open a page in a window so wide."""
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.ask("Page.navigate", url=page.absolute().as_uri())
        self.wait("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """Return what a script comes to in the page, as JSON."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key."""
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        code = {"Enter": 13, "Tab": 9, "Space": 32}[key]
        name = " " if key == "Space" else key
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=key, windowsVirtualKeyCode=code, **typed)

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write a PNG of the page."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Return errors and warnings since the page was opened: of scripts, the console, the policy, the network."""
        self.run("0")
        wrong = []
        for told in self.events:
            method, about = told.get("method"), told.get("params", {})
            if method in ("Runtime.exceptionThrown", "Network.loadingFailed"):
                wrong.append(json.dumps(about))
            elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
                wrong.append(json.dumps(about["args"]))
            elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
                wrong.append(about["entry"]["text"])
        return wrong

    def fetched(self) -> list[str]:
        """Return the addresses that were asked for since the page was opened; what lies in the page itself is not."""
        asked = (told["params"]["request"]["url"] for told in self.events if told.get("method") == "Network.requestWillBeSent")
        return [address for address in asked if not address.startswith("data:")]


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium, with a profile of its own in a folder."""
    path = program()
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in (their_in, their_out)]  # above 3 and 4, to which they are copied
    quiet = os.open(os.devnull, os.O_RDWR)
    words = [path, *QUIET, f"--user-data-dir={folder}", *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank"]
    actions = [
        *((os.POSIX_SPAWN_DUP2, quiet, at) for at in (0, 1, 2)),
        *((os.POSIX_SPAWN_DUP2, end, at) for end, at in zip(ends, (3, 4), strict=True)),
    ]
    child = os.posix_spawn(path, words, {**os.environ, "HOME": str(folder)}, file_actions=actions, setpgroup=0)
    for end in (their_in, their_out, *ends, quiet):
        os.close(end)
    try:
        yield Browser(our_out, our_in)
    finally:
        os.close(our_out)
        os.close(our_in)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
