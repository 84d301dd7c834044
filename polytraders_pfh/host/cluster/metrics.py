"""The metrics of all rooms in one registry, each with its partition as a label."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from polytraders_pfh.host.cluster.room import Room

LABEL = "partition"


class RoomMetrics(Collector):
    """Collects from the rooms that are open now. There are no more values of the label than partitions."""

    def __init__(self, rooms: Callable[[], Iterable[Room]]) -> None:
        self._rooms = rooms

    def collect(self) -> Iterator[Metric]:
        """Yield every family once, with the samples of every room."""
        families: dict[str, Metric] = {}
        for room in self._rooms():
            for found in room.registry.collect():
                family = families.get(found.name)
                if family is None:
                    family = Metric(found.name, found.documentation, found.type, found.unit)
                    families[found.name] = family
                family.samples += [_labelled(sample, room.partition) for sample in found.samples]
        yield from families.values()

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before there are rooms."""
        return ()


def _labelled(sample: Sample, partition: int) -> Sample:
    return sample._replace(labels={**sample.labels, LABEL: str(partition)})
