"""Makes .venv and installs the locked packages into it: ``python3 requirements/install.py run|dev``.

Only the standard library, and a grammar that old Pythons read, so that they can say that they are too old.
"""

import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEEDED = (3, 11)


def fail(text):
    """Stop with `text`."""
    print("\n" + text, file=sys.stderr)
    sys.exit(1)


def make_venv():
    """Create .venv unless a working one is there."""
    python = VENV / "bin" / "python"
    if python.exists() and subprocess.call([str(python), "-m", "pip", "--version"], stdout=subprocess.DEVNULL) == 0:
        return
    print("making .venv with Python %d.%d" % sys.version_info[:2], flush=True)
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        fail(done.stdout + "python -m venv failed. On Debian and Ubuntu: apt-get install python3-venv")


def pip(what, *arguments):
    """Run pip, with one line of progress in place of its many."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, cwd=str(ROOT)
    )
    began, seen, lines, live = time.time(), 0, [], sys.stdout.isatty()
    for line in process.stdout:
        lines.append(line)
        words = line.split()
        if words and words[0] in ("Collecting", "Requirement", "Obtaining"):
            seen += 1
            if live:
                print("\r\033[K  %s: %d  %s" % (what, seen, words[1][:60]), end="", flush=True)
            elif seen % 25 == 0:
                print("  %s: %d" % (what, seen), flush=True)
        elif words[:2] == ["Installing", "collected"] and live:
            print("\r\033[K  %s: unpacking" % what, end="", flush=True)
    end = "\r\033[K" if live else ""
    if process.wait():
        fail(end + "".join(lines[-40:]) + "\npip could not install the packages. Run make again to go on.")
    print("%s  %s: done in %.0f s" % (end, what, time.time() - began), flush=True)


def main():
    """Install what is asked for; a stamp file beside it tells make that it is there."""
    kind = sys.argv[1]
    if sys.version_info < NEEDED:
        fail(
            "Probestream needs Python %d.%d or newer, and %s is %d.%d.\nName another: make PYTHON=/path/to/python3"
            % (NEEDED + (sys.executable,) + sys.version_info[:2])
        )
    # Settings of a venv or a Python that this one was started from must not leak into the new one.
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"):
        os.environ.pop(name, None)
    make_venv()
    locks = ["requirements/build.txt", "requirements/%s.txt" % kind]
    print("installing packages, each checked against its locked hash", flush=True)
    for lock in locks:
        pip(pathlib.Path(lock).stem, "--require-hashes", "-r", lock)
    pip("probestream", "--no-deps", "--no-build-isolation", "-e", ".")
    began = time.time()
    print("compiling the arithmetic of detection, once: up to a minute", flush=True)
    done = subprocess.run(
        [str(VENV / "bin" / "python"), "-m", "streams.warm"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        fail(done.stdout[-2000:] + "\nThe packages are there, but detection cannot be compiled.")
    print("  compiled in %.0f s" % (time.time() - began), flush=True)
    (VENV / (".installed-" + kind)).touch()


if __name__ == "__main__":
    main()
