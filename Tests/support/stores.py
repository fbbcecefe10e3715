"""A PostgreSQL and a Redis of a test's own, which it may break. Both keep what they acknowledged, like real ones."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile

SERVICES = pathlib.Path(__file__).resolve().parents[2] / "scripts/services.sh"


class Stores:
    """Use as a context manager."""

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="holdfast-stores-", ignore_cleanup_errors=True)
        self.folder = pathlib.Path(self._temporary.name)
        self._services("start", "--durable")
        lines = (self.folder / "env").read_text().splitlines()
        self.urls = {f"HOLDFAST_TEST_{name}": url for name, url in (line.split("=", 1) for line in lines)}
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.CalledProcessError):
            self._services("stop")
        self._temporary.cleanup()

    def _services(self, command, *arguments):
        subprocess.run([SERVICES, command, self.folder, *arguments], check=True, stdin=subprocess.DEVNULL)

    def crash(self, store):
        self._services("crash", store)

    def again(self, store):
        self._services("again", store)

    # Redis' file

    @property
    def _file(self):
        return self.folder / "redis/appendonlydir"

    def keep_redis_file(self):
        """Copies the append-only file as it is now."""
        shutil.copytree(self._file, self.folder / "kept")

    def bring_back_redis_file(self):
        """Puts the copy in the place of the file. Redis must not run."""
        shutil.rmtree(self._file)
        shutil.copytree(self.folder / "kept", self._file)
