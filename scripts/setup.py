"""Makes .venv from a lock file: `python scripts/setup.py run|test|bench`, or `clean`. Standard library only.

Called by the Makefile. A second call is instant: .venv/voronka.json says what was installed from what. A larger set
contains the smaller ones. Any Python 3 can parse this file, so that an old one gets an answer and not a traceback.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "voronka.json")
LOCKS = {"run": "requirements.lock", "test": "requirements-dev.lock", "bench": "requirements-bench.lock"}
SETS = list(LOCKS)
# What make and the tools make; never var/ or a company's files.
LITTER = [".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "demo-company"]
OLDEST = (3, 11)


def main(wanted):
    if wanted == "clean":
        for name in LITTER:
            shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)
        return 0
    complaint = find_fault()
    if complaint:
        return fail(*complaint)
    if is_current(wanted):
        return 0
    return install(wanted)


def find_fault():
    """What this Python lacks, in Russian and English; None when it will do."""
    version = "{}.{}".format(*sys.version_info[:2])
    if sys.version_info < OLDEST:
        return (
            "Нужен Python 3.11 или новее, а {} — это {}.".format(sys.executable, version),
            "voronka needs Python 3.11 or newer; {} is {}.".format(sys.executable, version),
            "make PYTHON=/path/to/python3.11 …",
        )
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        return (
            "В {} нет модуля {}: без него не создать окружение.".format(sys.executable, " и ".join(missing)),
            "{} lacks the module {}: no environment can be made without it.".format(
                sys.executable, " and ".join(missing)
            ),
            "Debian, Ubuntu: apt install python{}-venv".format(version),
        )
    return None


def is_current(wanted):
    """Whether .venv holds at least the wanted set, from the present lock, made for this folder."""
    stamp = read_stamp()
    installed = stamp.get("set")
    return (
        installed in SETS
        and SETS.index(installed) >= SETS.index(wanted)
        and stamp == make_stamp(installed)
        and os.path.exists(PYTHON)
    )


def make_stamp(name):
    return {
        "set": name,
        # Scripts in .venv/bin hold absolute paths: a moved folder needs a new environment.
        "root": ROOT,
        "lock": digest(LOCKS[name]),
        "project": digest("pyproject.toml"),
    }


def read_stamp():
    try:
        with open(STAMP, encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def digest(name):
    with open(os.path.join(ROOT, name), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def install(wanted):
    stamp = read_stamp()
    wanted = max(wanted, stamp.get("set", wanted), key=SETS.index)
    print("Ставим в .venv из {0}, около минуты · Installing into .venv from {0}, about a minute".format(LOCKS[wanted]))
    sys.stdout.flush()
    if stamp.get("root", ROOT) != ROOT or not has_pip():
        code = subprocess.call([sys.executable, "-m", "venv", "--clear", VENV])
        if code:
            return fail(
                "Не удалось создать окружение в {}.".format(VENV),
                "No environment could be made in {}.".format(VENV),
                "Debian, Ubuntu: apt install python3-venv",
            )
    if os.path.exists(STAMP):
        os.remove(STAMP)
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps"]
    # The lock is complete and all of it comes as wheels: nothing is resolved, built or fetched beside it.
    locked = [*pip, "--only-binary", ":all:", "--require-hashes", "-r", os.path.join(ROOT, LOCKS[wanted])]
    own = [*pip, "--no-build-isolation", "-e", ROOT]
    if subprocess.call(locked) or subprocess.call(own):
        return fail(
            "Установка не удалась: причина выше. Часто это нет доступа к индексу пакетов (переменная PIP_INDEX_URL)\n"
            "или слишком новый Python, для которого ещё нет готовых пакетов: {}.".format(sys.version.split()[0]),
            "The installation failed, see above. Often the package index can't be reached (PIP_INDEX_URL),\n"
            "or there are no wheels yet for so new a Python: {}.".format(sys.version.split()[0]),
            "make PYTHON=/path/to/python3.13 …",
        )
    with open(STAMP, "w", encoding="utf-8") as file:
        json.dump(make_stamp(wanted), file)
    return 0


def has_pip():
    """Whether .venv is there and whole: one whose making was interrupted lacks pip."""
    if not os.path.exists(PYTHON):
        return False
    return subprocess.call([PYTHON, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0


def fail(russian, english, remedy):
    sys.stdout.flush()
    sys.stderr.write("\n{}\n{}\n  → {}\n".format(russian, english, remedy))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
