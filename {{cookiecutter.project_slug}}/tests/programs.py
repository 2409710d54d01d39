"""Find the programs that the tests need and pip cannot bring; run as a script, bring those.

A Chromium is brought anywhere. The others, of which one is a server that some systems start as they
install it, are brought in CI, where nothing that is absent may pass for something that works. What
needs them is skipped elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Playwright, sync_playwright

SHELL = "chromium-headless-shell"
"""Chromium without what draws windows: the tests take half the time in it. Playwright's own has one
along, and starts that where no window is asked for."""
WHOLE = ("chromium", "chromium-browser", "google-chrome")
NONE = "There is no Chromium for the browser tests. Install one: playwright install chromium"
IN_CI = {
    "curl": "curl",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "systemd-analyze": "systemd",
}
"""Commands that the tests of the deployment call, and Debian's packages that have them."""


def find_chromium(playwright: Playwright, window: bool = False) -> str | None:
    """The path of a Chromium: Playwright's own, or else one of the system."""
    own = playwright.chromium.executable_path
    names = WHOLE if window else (SHELL, *WHOLE)
    return own if os.access(own, os.X_OK) else next(filter(None, map(shutil.which, names)), None)


def in_ci() -> bool:
    """Whether this runs in CI, by the variable that GitHub, GitLab and others set there."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def packages(*names: str) -> list[list[str]]:
    """The commands that install packages of the system; none where that is for somebody to say."""
    sudo = shutil.which("sudo") if in_ci() else None
    if not shutil.which("apt-get") or not (is_root() or sudo):
        return []
    get = ["apt-get", "--quiet"] if is_root() else [str(sudo), "-n", "apt-get", "--quiet"]
    return [[*get, "update"], [*get, "install", "--yes", *names]]


def run(command: list[str]) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, check=False)


def bring_chromium(playwright: Playwright) -> str | None:
    """The path of a Chromium. One is installed if there is none, in CI if there is no light one."""
    own = [sys.executable, "-m", "playwright", "install", "chromium"]
    for command in [own, *packages(SHELL), *packages("chromium")]:  # the least intrusive first
        found = find_chromium(playwright)
        if found and not (in_ci() and Path(found).name in WHOLE):
            break
        run(command)
    return find_chromium(playwright)


def bring_others() -> list[str]:
    """The commands of `IN_CI` that are still absent when those that can be are installed."""
    if absent := [name for name in IN_CI if not shutil.which(name)]:
        for command in packages(*(IN_CI[name] for name in absent)):
            run(command)
    return [name for name in absent if not shutil.which(name)]


def main() -> int:
    """The exit status: 1 if something is absent that must be there."""
    with sync_playwright() as playwright:
        found = bring_chromium(playwright)
    print(f"Chromium: {found}" if found else NONE, file=sys.stdout if found else sys.stderr)
    absent = bring_others() if in_ci() else []
    if absent:
        print(f"The tests of the deployment need {', '.join(absent)}.", file=sys.stderr)
    return 1 if absent or not found else 0


if __name__ == "__main__":
    sys.exit(main())
