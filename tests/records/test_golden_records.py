"""Records that were written before they were typed are read and written again to the byte."""

from pathlib import Path

import pytest

from foveate.records.base import Record
from foveate.records.cost import CostRecord
from foveate.records.explain import ExplainRecord
from foveate.records.files import read_record, write_record
from foveate.records.fold import FoldRecord
from foveate.records.gates import GatesRecord
from foveate.records.robustness import RobustnessRecord
from foveate.records.run import RunRecord
from foveate.records.study import StudyRecord
from foveate.records.transfer import TransferRecord

GOLDEN = Path(__file__).parent / "golden"
KINDS: dict[str, type[Record]] = {
    "study": StudyRecord,
    "cost": CostRecord,
    "result": RunRecord,
    "explain": ExplainRecord,
    "gates": GatesRecord,
    "fold": FoldRecord,
    "robustness": RobustnessRecord,
    "transfer": TransferRecord,
}
"""By the start of the file's name, up to the first dash."""


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_a_record_is_written_as_it_was_read(tmp_path: Path, file: Path) -> None:
    kind = file.stem.partition("-")[0]
    copy = tmp_path / f"{kind}.json"
    copy.write_bytes(file.read_bytes())
    write_record(copy, read_record(copy, KINDS[kind]))
    assert copy.read_bytes() == file.read_bytes()
