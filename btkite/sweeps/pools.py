"""Who does the work: this process, several beside it, or a Dask cluster. The same code for all three.

A pool is a function from tasks to their rows, in the order in which they are done. joblib does the rest: loky's
processes here, Dask's workers wherever they are.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import BtkiteError, ConfigError
from . import work
from .store import Row

Pool = Callable[[Sequence[work.Task]], Iterable[tuple[str, Row]]]

AHEAD = 2
"""Tasks for each worker that wait beside it."""
_CONNECT = "10s"


@contextmanager
def pool(context: work.Context, jobs: int, dask: str | None) -> Iterator[Pool]:
    """:raises ConfigError: if the cluster cannot be reached, or has no workers."""
    if dask is not None:
        with _on_cluster(context, dask) as found:
            yield found
    elif jobs == 1:
        yield lambda tasks: (work.work(context, task) for task in tasks)
    else:
        with _beside(context, jobs) as found:
            yield found


def cores() -> int:
    """Processes that this machine runs at a time."""
    from joblib import cpu_count

    return int(cpu_count())


def _all(
    tasks: Sequence[work.Task],
    start: Callable[[Iterable[work.Task]], Iterable[tuple[str, Row]]],
    alone: Callable[[work.Task], tuple[str, Row]],
    broken: type[BaseException],
) -> Iterator[tuple[str, Row]]:
    """Every task's row. If a worker dies, each task that was begun and not done goes to a worker that has no other: who
    dies there has failed, and the others go on together."""
    waiting = {task.key: task for task in tasks}
    while waiting:
        begun: list[str] = []

        def handed(keys: list[str] = begun) -> Iterator[work.Task]:
            for task in list(waiting.values()):
                keys.append(task.key)
                yield task

        try:
            for key, row in start(handed()):
                del waiting[key]
                yield key, row
        except broken:
            suspects = [waiting.pop(key) for key in begun if key in waiting]
            if not suspects:
                raise
            for task in suspects:
                try:
                    yield alone(task)
                except broken:
                    yield task.key, {**work.failure(task, DIED), "again": True, "seconds": 0.0}


DIED = "the worker process died, for want of memory perhaps (fewer --jobs need less at a time)"


@contextmanager
def _beside(context: work.Context, jobs: int) -> Iterator[Pool]:
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import ProcessPoolExecutor, get_reusable_executor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    def start(tasks: Iterable[work.Task]) -> Iterator[tuple[str, Row]]:
        with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1, initializer=_deaf):
            yield from Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=AHEAD * jobs)(
                delayed(work.work)(context, task) for task in tasks
            )

    single: list[Any] = []  # the one worker's pool, as long as it lives

    def alone(task: work.Task) -> tuple[str, Row]:
        if not single:
            single.append(ProcessPoolExecutor(max_workers=1, initializer=_deaf))
        try:
            found: tuple[str, Row] = single[0].submit(work.work, context, task).result()
        except BrokenProcessPool:
            single.pop().shutdown(wait=False)
            raise
        return found

    try:
        yield lambda tasks: _all(tasks, start, alone, BrokenProcessPool)
    finally:
        for one in single:
            one.shutdown(wait=True, kill_workers=True)
        get_reusable_executor(max_workers=jobs).shutdown(wait=True, kill_workers=True)


def _deaf() -> None:
    """Ctrl-C is the sweep's own; its workers are ended by it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _on_cluster(context: work.Context, address: str) -> Iterator[Pool]:
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise ConfigError("--dask needs dask.distributed: pip install btkite[dask]") from None
    from joblib import Parallel, delayed, parallel_config

    try:
        client: Any = Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {address}: start one with `dask scheduler`, and workers with "
            f"`dask worker {address}`"
        ) from error
    with client:
        if not client.ncores():
            raise ConfigError(f"the Dask scheduler at {address} has no workers: start one with `dask worker {address}`")

        def start(tasks: Iterable[work.Task]) -> Iterator[tuple[str, Row]]:
            with parallel_config(backend="dask", client=client), client.as_current():
                yield from Parallel(return_as="generator_unordered", batch_size=1)(
                    delayed(work.work)(context, task) for task in tasks
                )

        def alone(task: work.Task) -> tuple[str, Row]:
            found: tuple[str, Row] = client.submit(work.work, context, task, pure=False, retries=0).result()
            return found

        def run(tasks: Sequence[work.Task]) -> Iterator[tuple[str, Row]]:
            try:
                yield from _all(tasks, start, alone, KilledWorker)
            except OSError as error:
                raise BtkiteError(
                    f"the cluster at {address} is gone: what is done is kept, the same command goes on from there"
                ) from error

        yield run
