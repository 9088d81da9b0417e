"""The atomic writer under injected faults: the old file is whole, and no temporary is left."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from companion.errors import OutputError
from companion.files import TEMPORARY_SUFFIX, write_atomically

OLD, NEW = b"the old file, whole", b"the new file " * 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state.bin").write_bytes(OLD)
    return tmp_path / "state.bin"


def fail(code: int) -> Callable[..., None]:
    """A system call that fails."""

    def call(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def assert_untouched(path: Path) -> None:
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_it_writes_what_it_was_given(path: Path) -> None:
    write_atomically(path, NEW)
    write_atomically(str(path.with_name("other")), b"")
    assert path.read_bytes() == NEW
    assert path.with_name("other").read_bytes() == b""
    assert len(list(path.parent.iterdir())) == 2


def test_the_mode_follows_the_umask(path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(path, NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_order_is_write_sync_replace_sync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut finds the bytes before the name, and the name before the return."""
    calls = list[str]()
    fsync, replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        if not is_folder:
            assert os.fstat(descriptor).st_size == len(NEW)
        calls.append("folder" if is_folder else "file")
        fsync(descriptor)

    def rename(source: Path, target: Path) -> Path:
        assert source.parent == target.parent
        assert source.suffix == TEMPORARY_SUFFIX
        calls.append("replace")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    write_atomically(path, NEW)
    assert calls == ["file", "replace", "folder"]


def test_a_disk_that_fills_amid_the_write(path: Path) -> None:
    """The system refuses to write over 1,000 bytes, after it took the first of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match=r"state\.bin: cannot be written \(File too large\)"):
            write_atomically(path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert_untouched(path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_a_system_call_that_fails(
    path: Path, place: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, fail(code))
    with pytest.raises(OutputError, match=r"state\.bin: cannot be written") as raised:
        write_atomically(path, NEW)
    monkeypatch.undo()
    assert os.strerror(code) in str(raised.value)
    assert "free some space" in str(raised.value)
    assert_untouched(path)


@pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL])
def test_a_folder_that_cannot_be_synced(
    path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With EINVAL the file system has no such thing; any other reason is a failure."""
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    if code == errno.EINVAL:
        write_atomically(path, NEW)
    else:
        with pytest.raises(OutputError, match="Input/output error"):
            write_atomically(path, NEW)
    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


def test_ctrl_c_amid_the_write_leaves_no_temporary(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, NEW)
    assert_untouched(path)


def test_a_target_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "state.bin").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        write_atomically(tmp_path / "state.bin", NEW)
    assert list(tmp_path.iterdir()) == [tmp_path / "state.bin"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            write_atomically(path, NEW)
    finally:
        path.parent.chmod(0o700)
    assert_untouched(path)


def test_permission_that_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, also where the tests run as root."""
    monkeypatch.setattr(Path, "open", fail(errno.EACCES))
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomically(path, NEW)
    monkeypatch.undo()
    assert_untouched(path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomically(tmp_path / "gone" / "state.bin", NEW)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_amid_the_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody moves the folder away between the write and the rename."""
    replace, elsewhere = Path.replace, path.parent.with_name("elsewhere")

    def moved(source: Path, target: Path) -> Path:
        os.rename(path.parent, elsewhere)  # noqa: PTH104 - Path.rename is not what is tested
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", moved)
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomically(path, NEW)
    assert (elsewhere / path.name).read_bytes() == OLD
    assert not path.parent.exists()


@pytest.mark.parametrize("step", ["torn", "os.fsync", "pathlib.Path.replace"])
def test_a_crash_leaves_the_old_file(path: Path, step: str) -> None:
    """Killed after half of the bytes, before the sync, or before the rename."""
    program = textwrap.dedent("""
        import os, pathlib, signal, sys
        from companion.files import write_atomically
        def die(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        path, step = sys.argv[1:]
        data = b"n" * 100_000
        if step == "torn":
            write = pathlib.Path.open
            def opened(self, mode):
                file = write(self, mode, buffering=0)
                class Half:
                    def __enter__(self): return self
                    def __exit__(self, *rest): file.close()
                    def write(self, data): file.write(data[: len(data) // 2]); die()
                return Half()
            pathlib.Path.open = opened
        else:
            owner = os if step == "os.fsync" else pathlib.Path
            setattr(owner, step.rpartition(".")[2], die)
        write_atomically(path, data)
    """)
    outcome = subprocess.run([sys.executable, "-c", program, str(path), step], check=False)
    assert outcome.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    left = [other for other in path.parent.iterdir() if other != path]
    assert [other.suffix for other in left] == [TEMPORARY_SUFFIX]
    if step == "torn":
        assert left[0].stat().st_size == 50_000
