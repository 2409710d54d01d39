"""Find a Chromium for the browser tests; run as a script, bring one if there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from playwright.sync_api import Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
NONE = "There is no Chromium for the browser tests. Install one: playwright install chromium"


def find(playwright: Playwright) -> str | None:
    """The path of a Chromium: Playwright's own, or else one on the path."""
    own = playwright.chromium.executable_path
    return own if os.access(own, os.X_OK) else next(filter(None, map(shutil.which, NAMES)), None)


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def installers() -> list[list[str]]:
    """The commands that may bring a Chromium here, the least intrusive first."""
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if is_root() and shutil.which("apt-get"):
        commands.append(["apt-get", "update", "--quiet"])
        commands.append(["apt-get", "install", "--yes", "--quiet", "chromium"])
    return commands


def bring(playwright: Playwright) -> str | None:
    """The path of a Chromium, which is installed if there is none."""
    for command in installers():
        if found := find(playwright):
            return found
        print("+", *command, flush=True)
        subprocess.run(command, check=False)
    return find(playwright)


def main() -> int:
    with sync_playwright() as playwright:
        found = bring(playwright)
    print(f"Chromium: {found}" if found else NONE, file=sys.stdout if found else sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
