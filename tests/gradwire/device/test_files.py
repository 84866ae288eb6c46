"""Device files, played by ordinary files and by named pipes."""

import os
import threading

import numpy as np
import pytest

from gradwire import DeviceFile, InputError, StreamFile, ToolError

WORDS = np.arange(5000, dtype=np.uint32)


@pytest.fixture
def device(tmp_path):
    file = tmp_path / "uio0"
    file.write_bytes(WORDS.tobytes())
    return file


@pytest.mark.parametrize("offset", [0, 4096, 4096 + 256])
def test_registers_in_a_device_file(device, offset):
    with DeviceFile(device, offset=offset, size=1024) as memory:
        assert memory.read(0) == offset // 4
        assert memory.read(1020) == offset // 4 + 255
        memory.write(8, 0xFFFFFFFF)
        assert memory.read(8) == 0xFFFFFFFF
        for address in (1024, -4):
            with pytest.raises(InputError, match=r"must be below 0x400, its size, not -?0x"):
                memory.read(address)
    changed = np.fromfile(device, np.uint32)
    assert np.flatnonzero(changed != WORDS).tolist() == [offset // 4 + 2]


def test_device_files_that_do_not_do(device, tmp_path):
    with pytest.raises(InputError, match=r"none cannot be opened: No such file or directory$"):
        DeviceFile(tmp_path / "none", size=4)
    for size, offset in ((1 << 20, 0), (1024, 1 << 20), (1024, -4096)):
        with pytest.raises(InputError, match=r"uio0 cannot be mapped, [0-9]+ bytes from -?0x.*: "):
            DeviceFile(device, offset=offset, size=size)
    with pytest.raises(InputError, match=r"^offset must be a multiple of 4 bytes, not 0x3$"):
        DeviceFile(device, offset=3, size=4)


@pytest.fixture
def pipe(tmp_path):
    """A stream, and the core's end of it."""
    path = tmp_path / "stream"
    os.mkfifo(path)
    ends = []

    def make(to_core):
        mode = "rb" if to_core else "wb"
        other = threading.Thread(target=lambda: ends.append(path.open(mode, buffering=0)))
        other.start()
        ends.insert(0, StreamFile(path, to_core=to_core, timeout=0.05))
        other.join()
        return ends[0], ends[1]

    yield make
    for end in ends:
        end.close()


def test_samples_go(pipe):
    stream, core = pipe(to_core=True)
    records = WORDS[:12].reshape(3, 4)
    stream.send(records)
    stream.wait()
    assert core.read(1000) == records.tobytes()
    with pytest.raises(TimeoutError):
        stream.send(np.zeros((1000, 1000), np.uint32))


def test_results_come(pipe):
    stream, core = pipe(to_core=False)
    with pytest.raises(TimeoutError):
        stream.receive(1, 2)
    core.write(WORDS[:6].tobytes())
    assert stream.receive(2, 2).tolist() == [[0, 1], [2, 3]]
    with pytest.raises(ToolError, match=r"^a packet from .* must have 12 bytes, not 8$"):
        stream.receive(1, 3)
    core.write(WORDS.tobytes())
    stream.clear()
    core.write(b"1234")
    assert stream.receive(1, 1).tobytes() == b"1234"


def test_a_stream_that_fails(pipe):
    stream, core = pipe(to_core=True)
    core.close()
    with pytest.raises(ToolError, match=r"^device file .* has failed: Broken pipe$"):
        stream.send(WORDS[:4].reshape(1, 4))
