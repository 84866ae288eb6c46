"""Who does the work of an exploration: processes on this machine, or a Dask cluster."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.connection import Connection

from hw import tool
from hw.errors import InputError, ToolError

_PATIENCE = "10s"  # for the scheduler of a cluster to answer


@contextlib.contextmanager
def workers(cluster: str | None = None, jobs: int | None = None) -> Iterator[tuple[Executor, int]]:
    """Who executes tasks, and how many at a time.

    Parameters
    ----------
    cluster : address of a Dask scheduler, such as "tcp://host:8786"; None for this machine.
    jobs : processes on this machine; as many as there are processors by default.

    However the block ends, even if this process is killed, processes and their tools end with it.
    Raises InputError when Dask is not installed, ToolError when the scheduler does not answer.
    """
    with _cluster(cluster) if cluster else _processes(jobs or os.cpu_count() or 1) as found:
        yield found


@contextlib.contextmanager
def _processes(jobs: int) -> Iterator[tuple[Executor, int]]:
    # Processes begin afresh: a copy of this one could hold locks of threads that it has not.
    context = multiprocessing.get_context("spawn")
    end, life = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(end,))
    try:
        yield pool, jobs
    finally:
        life.close()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(end: Connection) -> None:
    """Of a process: Ctrl-C is for the one that started it, with which it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(end,), daemon=True).start()


def _end_with_parent(end: Connection) -> None:
    # Nothing is ever sent: there is something to read when the other end is closed.
    end.poll(None)
    tool.stop()
    os._exit(0)


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError:
        said = "a cluster needs Dask, which is not installed: pip install 'gradwire[cluster]'"
        raise InputError(said) from None
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ToolError(f"cluster {address} does not answer: {error}") from None
    with client:
        jobs = sum(client.nthreads().values())
        if not jobs:
            raise ToolError(f"cluster {address} has no workers")
        executor = client.get_executor(pure=False)
        try:
            yield executor, jobs
        finally:
            executor.shutdown(wait=False)
