"""One life of a host after the other, on one directory and one wallet: killed hard, started anew.

A life's tasks are known by the context that they inherit. When it dies, its connections to the exchange
break and its log takes nothing more, both before anything else of it runs; then its tasks are cancelled
where they stand. Nobody drains, nobody says goodbye. Files and sockets are let go, as by a dead process.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, TypeVar

from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.errors import DemoError, HostDied
from polytraders_pfh.demo.mortal import MortalHandler
from polytraders_pfh.host import Host

T = TypeVar("T")
MAX_BIRTHS: Final = 5
_life: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


class Life:
    """A host and everything that runs on its behalf."""

    def __init__(self, host: Host, handler: MortalHandler, clock: MarketClock) -> None:
        self.host = host
        self._clock = clock
        self._handler = handler
        self._tasks: set[asyncio.Task[Any]] = set()
        self._context = contextvars.copy_context()
        self._context.run(_life.set, self)
        self._dead = self._buried = self._up = False

    def dead(self) -> bool:
        """Return whether it was killed."""
        return self._dead

    def own(self, task: asyncio.Task[Any]) -> None:
        """Take a task of this life; one that is begun by what is dying is ended before it begins."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._dead and not self._buried:
            task.cancel()

    async def begin(self) -> None:
        """Start the host.

        Raises:
            HostDied: It was killed meanwhile.
        """
        await self.ask(self.host.__aenter__())
        self._up = True

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done in this life, as by a strategy in the same process.

        Raises:
            HostDied: The life ended before it was done.
        """
        if self.dead():
            work.close()
            raise HostDied("the host died before it was asked")
        task = self._context.run(asyncio.get_running_loop().create_task, work)
        try:
            return await task
        except asyncio.CancelledError:
            if self.dead() and task.cancelled():
                raise HostDied("the host died before it was done") from None
            raise
        except Exception as e:
            if self.dead():
                raise HostDied("the host died before it was done") from e
            raise

    async def kill(self) -> set[tuple[str, int]]:
        """End it where it stands; return the events that its log says were accepted, by order and time."""
        self._dead = True
        if self._handler.journal is not None:
            self._handler.journal.die()
        await self.host.cut_off()
        ending = self._end_tasks()
        await self._clock.turn()  # what dies gets its turn, and may begin nothing in it
        self._buried = True
        if ending:
            await asyncio.wait(ending)
        if self._up:
            await self.host.__aexit__(None, None, None)
        if left := self._end_tasks():
            await asyncio.wait(left)
        if self._handler.journal is None:
            return set()
        await self._handler.journal.let_go()
        return await self._handler.journal.accepted()

    def _end_tasks(self) -> set[asyncio.Task[Any]]:
        ending = set(self._tasks)
        for task in ending:
            task.cancel()
        return ending

    async def end(self) -> None:
        """Stop the host as it should be stopped."""
        await self.host.__aexit__(None, None, None)


class Lives:
    """Whoever lives now, and the succession.

    Attributes:
        restarts: How often one was killed and another took over.
        unaccepted: Events that bots were handed and no log accepted: their host died too early.
        at_death: Called at each death, before anything else of it.
        at_birth: Called when another host is up.
    """

    def __init__(
        self,
        make: Callable[[MortalHandler], Host],
        clock: MarketClock,
        heard: Callable[[], set[tuple[str, int]]],
    ) -> None:
        """`heard` tells every event that bots were handed so far, by order id and time."""
        self._make = make
        self._clock = clock
        self._heard = heard
        self._life = self._conceive()
        self._killing = asyncio.Event()
        self._alive = asyncio.Event()
        self._successor: asyncio.Task[None] | None = None
        self.restarts = 0
        self.unaccepted: set[tuple[str, int]] = set()
        self.at_death: list[Callable[[], None]] = []
        self.at_birth: list[Callable[[], None]] = []

    @property
    def host(self) -> Host:
        """The host that lives, or the last one that did."""
        return self._life.host

    @property
    def alive(self) -> bool:
        """Whether a host is up."""
        return self._alive.is_set()

    async def open(self) -> None:
        """Start the first one."""
        await self._life.begin()
        self._alive.set()
        self._successor = asyncio.create_task(self._succeed())

    async def close(self) -> None:
        """Stop the last one as it should be stopped."""
        successor, self._successor = self._successor, None
        if successor is not None:
            successor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await successor
        if self.alive:
            await self._life.end()
        else:
            await self._life.kill()

    async def ask(self, work: Callable[[Host], Coroutine[Any, Any, T]]) -> T:
        """Have something done by the host that lives, once one does.

        Raises:
            HostDied: It died before that was done. Another is up when this is raised.
        """
        if not self.alive:
            await self.reborn()
        try:
            return await self._life.ask(work(self._life.host))
        except HostDied:
            await self.reborn()
            raise

    def kill(self) -> None:
        """Have the living host killed and another started, as soon as the loop turns."""
        if self.alive:
            self._alive.clear()
        self._killing.set()

    async def reborn(self) -> None:
        """Return when a host is up.

        Raises:
            PfhError: None could be started.
        """
        waiting = asyncio.create_task(self._alive.wait())
        try:
            assert self._successor is not None
            await asyncio.wait({waiting, self._successor}, return_when=asyncio.FIRST_COMPLETED)
            self.check()
        finally:
            waiting.cancel()

    def check(self) -> None:
        """Raise what keeps hosts from being started, if anything does."""
        if self._successor is not None and self._successor.done():
            self._successor.result()

    async def _succeed(self) -> None:
        while True:
            await self._killing.wait()
            for _ in range(MAX_BIRTHS):
                self._killing.clear()
                for call in self.at_death:
                    call()
                accepted = await self._life.kill()
                self.unaccepted |= self._heard() - accepted
                self.restarts += 1
                self._life = self._conceive()
                if await self._begins():
                    break
            else:
                raise DemoError(f"{MAX_BIRTHS} hosts died one after the other while they were starting")
            for call in self.at_birth:
                call()
            self._alive.set()

    async def _begins(self) -> bool:
        """Start the next one; False when it is to die during that."""
        starting = asyncio.create_task(self._life.begin())
        starting.add_done_callback(_seen)
        dying = asyncio.create_task(self._killing.wait())
        await asyncio.wait({starting, dying}, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if starting.done():
            starting.result()
            return True
        return False

    def _conceive(self) -> Life:
        handler = MortalHandler()
        return Life(self._make(handler), handler, self._clock)


@contextlib.contextmanager
def tasks_known() -> Iterator[None]:
    """Within this, each task of the running loop belongs to the life in whose context it was made."""

    def make(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **how)
        context = how.get("context")
        life = _life.get() if context is None else context.get(_life)
        if life is not None:
            life.own(task)
        return task

    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(make)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def among_the_dead() -> bool:
    """Return whether whoever runs now belongs to a host that was killed."""
    life = _life.get()
    return life is not None and life.dead()


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
