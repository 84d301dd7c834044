import asyncio

from polytraders_pfh.host.tasks import Tasks


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_full_set_refuses_work_without_leaving_a_coroutine_behind() -> None:
    tasks = Tasks(limit=1)

    first, second = tasks.spawn(forever(), "first"), tasks.spawn(forever(), "second")
    await tasks.close()

    assert first is not None
    assert first.cancelled()
    assert second is None


async def test_a_closed_set_starts_nothing() -> None:
    tasks = Tasks()
    await tasks.close()

    assert tasks.spawn(forever(), "late") is None


async def test_a_task_that_fails_takes_no_other_with_it() -> None:
    tasks, go = Tasks(), asyncio.Event()

    async def fail() -> None:
        raise RuntimeError("boom")

    tasks.spawn(fail(), "failing")
    other = tasks.spawn(go.wait(), "other")
    await asyncio.sleep(0)
    go.set()

    assert await tasks.drain(5)
    assert other is not None
    assert other.result() is True


async def test_draining_ends_at_its_deadline() -> None:
    tasks = Tasks()
    tasks.spawn(forever(), "endless")

    assert not await tasks.drain(0.01)
    await tasks.close()
    assert len(tasks) == 0
