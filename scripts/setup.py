"""Makes .venv from a lock file: `python scripts/setup.py run|test|bench [lake]`, or `clean`. Standard library only.

Called by the Makefile. A second call is instant: voronka.json inside says what was installed from what. `test` contains
`run`; the tools that benchmarks compare with bring dozens of packages, so `bench` has an environment of its own. Any
Python 3 can parse this file, so that an old one gets an answer and not a traceback.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENVS = {"run": ".venv", "test": ".venv", "bench": ".venv-bench"}
LOCKS = {"run": "requirements.lock", "test": "requirements-dev.lock", "bench": "requirements-bench.lock"}
SETS = list(LOCKS)
# Beside any set: what a lake needs. Complete with the smallest set, of the same versions.
LAKE = "lake"
LAKE_LOCK = "requirements-lake.lock"
# What make and the tools make; never var/ or a company's files.
LITTER = [".venv", ".venv-bench", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "demo-company"]
OLDEST = (3, 11)


def main(wanted, extra=None):
    if wanted == "clean":
        for name in LITTER:
            shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)
        return 0
    complaint = find_fault()
    if complaint:
        return fail(*complaint)
    with_lake = extra == LAKE
    if is_current(wanted, with_lake):
        return 0
    return install(wanted, with_lake)


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


def find_venv(name):
    return os.path.join(ROOT, VENVS[name])


def find_python(name):
    return os.path.join(find_venv(name), "bin", "python")


def is_current(wanted, with_lake):
    """Whether the environment holds at least the wanted set, from the present lock, made for this folder."""
    stamp = read_stamp(wanted)
    installed, has_lake = stamp.get("set"), LAKE in stamp
    return (
        installed in SETS
        and VENVS[installed] == VENVS[wanted]
        and SETS.index(installed) >= SETS.index(wanted)
        and has_lake >= with_lake
        and stamp == make_stamp(installed, has_lake)
        and os.path.exists(find_python(wanted))
    )


def make_stamp(name, with_lake):
    lake = {LAKE: digest(LAKE_LOCK)} if with_lake else {}
    return {
        **lake,
        "set": name,
        # Scripts in its bin hold absolute paths: a moved folder needs a new environment.
        "root": ROOT,
        "lock": digest(LOCKS[name]),
        "project": digest("pyproject.toml"),
    }


def stamp_path(name):
    return os.path.join(find_venv(name), "voronka.json")


def read_stamp(name):
    """What the environment of a set holds: at least that set, or nothing that is known."""
    try:
        with open(stamp_path(name), encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def digest(name):
    with open(os.path.join(ROOT, name), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def install(wanted, with_lake):
    stamp = read_stamp(wanted)
    with_lake = with_lake or LAKE in stamp
    held = stamp.get("set", wanted)
    # An earlier version kept the benchmarks' set in .venv too: what a set no longer shares is made anew.
    is_foreign = held not in SETS or VENVS[held] != VENVS[wanted]
    wanted = wanted if is_foreign else max(wanted, held, key=SETS.index)
    venv, python = find_venv(wanted), find_python(wanted)
    print(
        "Ставим в {0} из {1}, около минуты · Installing into {0} from {1}, about a minute".format(
            VENVS[wanted], LOCKS[wanted]
        )
    )
    sys.stdout.flush()
    if is_foreign or stamp.get("root", ROOT) != ROOT or not has_pip(python):
        code = subprocess.call([sys.executable, "-m", "venv", "--clear", venv])
        if code:
            return fail(
                "Не удалось создать окружение в {}.".format(venv),
                "No environment could be made in {}.".format(venv),
                "Debian, Ubuntu: apt install python3-venv",
            )
    if os.path.exists(stamp_path(wanted)):
        os.remove(stamp_path(wanted))
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps"]
    # The lock is complete and all of it comes as wheels: nothing is resolved, built or fetched beside it.
    locked = [*pip, "--only-binary", ":all:", "--require-hashes", "-r"]
    own = [*pip, "--no-build-isolation", "-e", ROOT]
    steps = [[*locked, os.path.join(ROOT, lock)] for lock in [LOCKS[wanted]] + [LAKE_LOCK] * with_lake]
    if any(map(subprocess.call, [*steps, own])):
        return fail(
            "Установка не удалась: причина выше. Часто это нет доступа к индексу пакетов (переменная PIP_INDEX_URL)\n"
            "или слишком новый Python, для которого ещё нет готовых пакетов: {}.".format(sys.version.split()[0]),
            "The installation failed, see above. Often the package index can't be reached (PIP_INDEX_URL),\n"
            "or there are no wheels yet for so new a Python: {}.".format(sys.version.split()[0]),
            "make PYTHON=/path/to/python3.13 …",
        )
    with open(stamp_path(wanted), "w", encoding="utf-8") as file:
        json.dump(make_stamp(wanted, with_lake), file)
    return 0


def has_pip(python):
    """Whether its environment is there and whole: one whose making was interrupted lacks pip."""
    if not os.path.exists(python):
        return False
    return subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0


def fail(russian, english, remedy):
    sys.stdout.flush()
    sys.stderr.write("\n{}\n{}\n  → {}\n".format(russian, english, remedy))
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
