from __future__ import annotations

import math
from pathlib import Path

import pytest

from fallline.errors import RunFolderError
from fallline.store import Live, LiveWriter, RunFolder, read_live
from fallline.store.live import LIVE_NAME
from fallline.types import Progress


def event(epoch: int, *losses: float) -> Progress:
    return Progress(epoch, 100, active=3, members=4, seconds=1.5, curves={"loss": losses})


def test_a_reader_sees_what_was_appended_and_then_only_what_is_new(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.append(event(0))
    writer.append(event(2, 0.5, 0.25))
    seen = read_live(tmp_path)
    assert seen is not None
    assert seen.curves == {"loss": {1: 0.5, 2: 0.25}}
    assert (seen.phase, seen.epoch, seen.epochs) == ("train", 2, 100)
    assert (seen.active, seen.members, seen.seconds) == (3, 4, 1.5)
    place = seen.offset
    writer.append(event(3, math.nan))
    assert read_live(tmp_path, seen) is seen
    assert seen.curves["loss"] == {1: 0.5, 2: 0.25, 3: None}
    assert seen.offset > place == len((tmp_path / LIVE_NAME).read_bytes().split(b'{"phase":"train","epoch":3')[0]) - 9
    writer.remove()
    assert read_live(tmp_path, seen) is None


def test_very_many_epochs_are_thinned_and_the_last_one_is_kept(tmp_path: Path) -> None:
    LiveWriter(tmp_path).append(event(5000, *(1 / n for n in range(1, 5001))))
    seen = read_live(tmp_path)
    assert seen is not None
    assert len(seen.curves["loss"]) <= 20
    assert seen.curves["loss"][5000] == pytest.approx(1 / 5000)


def test_a_line_that_is_being_written_waits_and_a_flipped_bit_is_told(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.append(event(1, 0.5))
    writer.append(event(2, 0.4))
    data = (tmp_path / LIVE_NAME).read_bytes()
    (tmp_path / LIVE_NAME).write_bytes(data[:-5])
    seen = read_live(tmp_path)
    assert seen is not None
    assert (seen.curves, seen.damaged) == ({"loss": {1: 0.5}}, 0)
    first = data.index(b"\n")
    for place in range(first):
        for bit in range(8):
            spoilt = bytearray(data)
            spoilt[place] ^= 1 << bit
            (tmp_path / LIVE_NAME).write_bytes(bytes(spoilt))
            found = read_live(tmp_path)
            assert found is not None
            # An upper-case digit of the checksum says the same; nothing else passes.
            assert found.damaged >= 1 or bytes(spoilt[:8]).lower() == data[:8]
            assert found.curves.get("loss", {}).get(1, 0.5) == 0.5


def test_a_resumed_training_goes_on_behind_a_torn_line_and_a_new_one_begins_anew(tmp_path: Path) -> None:
    LiveWriter(tmp_path).append(event(1, 0.5))
    with (tmp_path / LIVE_NAME).open("ab") as file:
        file.write(b'01234567 {"torn')
    LiveWriter(tmp_path, go_on=True).append(event(2, 0.4))
    seen = read_live(tmp_path)
    assert seen is not None
    assert (seen.curves, seen.damaged) == ({"loss": {1: 0.5, 2: 0.4}}, 0)
    LiveWriter(tmp_path).append(event(1, 0.9))
    again = read_live(tmp_path)
    assert again is not None
    assert again.curves == {"loss": {1: 0.9}}


EPOCH_0 = b'{"phase":"x","epoch":1,"epochs":1,"active":1,"members":1,"seconds":1,"curves":{"a":[1]},"at":[0]}'


@pytest.mark.parametrize("text", [b"{}", b"[]", b'{"phase":1}', EPOCH_0])
def test_strange_lines_are_counted_not_believed(tmp_path: Path, text: bytes) -> None:
    import zlib

    (tmp_path / LIVE_NAME).write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    seen = read_live(tmp_path)
    assert seen is not None
    assert (seen.damaged, seen.curves) == (1, {})


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / LIVE_NAME).symlink_to(tmp_path / "secret")
    with pytest.raises(RunFolderError, match="link"):
        read_live(tmp_path)


def test_the_file_is_no_obstacle_and_no_part_of_the_run(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run") as folder:
        LiveWriter(folder.path).append(event(1, 0.5))
        folder.write("report.html", b"<p>")
    assert folder.verify() == []
    assert folder.names == ("report.html",)
    with RunFolder.open(folder.path) as again:
        assert isinstance(read_live(again.path), Live)
