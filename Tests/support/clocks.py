"""Wall clocks that a test sets and moves, for processes that it starts. Their steady clocks are left alone."""

import functools
import pathlib
import struct
import subprocess
import tempfile

SOURCE = pathlib.Path(__file__).with_name("clock.c")
HOUR = 3_600


@functools.cache
def _library():
    folder = tempfile.TemporaryDirectory(prefix="holdfast-clock-")
    built = pathlib.Path(folder.name) / "clock.so"
    subprocess.run(["clang", "-O1", "-shared", "-fPIC", "-o", built, SOURCE], check=True)
    return folder, built  # The folder goes with the process.


class Clock:
    """`environment` makes a process go by it."""

    def __init__(self, hours=0):
        folder, built = _library()
        with tempfile.NamedTemporaryFile(dir=folder.name, delete=False) as file:
            self._file = pathlib.Path(file.name)
        self.set(hours)
        self.environment = {"LD_PRELOAD": str(built), "TEST_CLOCK": str(self._file)}

    def set(self, hours):
        """From now on it is so many hours ahead."""
        seconds = struct.pack("<q", int(hours * HOUR))
        if self._file.stat().st_size == 0:
            self._file.write_bytes(seconds)
        with self._file.open("r+b") as file:
            file.write(seconds)
