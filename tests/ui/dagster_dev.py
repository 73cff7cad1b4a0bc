"""``dagster dev`` as a person starts it, and a browser in front of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.error import URLError

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

PROJECT = Path(__file__).parent.parent.parent
# The machine of a test may be busy with others.
PATIENCE = 120.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Ask again until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come in {seconds:g} s")
        time.sleep(0.2)


@contextlib.contextmanager
def dagster_dev(home: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """Web server and daemon on loopback; the address of the web server."""
    home.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLLEY_")}
    with (home / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                *["-m", "dagster", "dev", "-m", "holley_assets.definitions", "-h", "127.0.0.1", "-p"],
                str(port),
            ],
            cwd=PROJECT,
            env={**environment, **settings, "DAGSTER_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own: web server, daemon and code server end together.
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(address, process), "the web server")
        yield address
    finally:
        _end(process)


def _answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "dagster dev ended; see output.txt in DAGSTER_HOME"
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, TimeoutError, ConnectionError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Browser:
    """Chromium without a window, in a profile of its own."""

    def __init__(self, chromium: str, driver: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1600,1000",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))

    def open(self, address: str) -> None:
        """Go to a page."""
        self.driver.get(address)

    @property
    def text(self) -> str:
        """What a person can read on the page."""
        try:
            return str(self.driver.find_element(By.TAG_NAME, "body").text)
        except StaleElementReferenceException:
            # The page is being drawn again.
            return ""

    def shows(self, *words: str, seconds: float = PATIENCE) -> None:
        """Wait until the page shows all of these."""
        try:
            wait_until(lambda: all(word in self.text for word in words), f"a page with {words}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page says: {self.text[:2000]}") from None

    def click(self, label: str) -> None:
        """Press the button with this label, once it is there."""
        wait_until(lambda: bool(self._buttons(label)), f"button {label}")
        self._buttons(label)[0].click()

    def _buttons(self, label: str) -> list[WebElement]:
        buttons = self.driver.find_elements(By.TAG_NAME, "button")
        return [button for button in buttons if button.text.strip() == label and button.is_enabled()]

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()
