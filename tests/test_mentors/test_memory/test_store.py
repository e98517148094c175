"""What a memory is of: facts that a run with others is refused by."""

import pytest
import torch

from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.mentors.memory import Memory
from classroomkd_mm.mentors.memory.remembered import RememberedMentor
from classroomkd_mm.mentors.memory.store import Answered
from classroomkd_mm.structures import Answer, Resize


def opened(folder, resize=None, checkpoint=None):
    """A mentor's memory, which has answered something."""
    settings = MentorSettings('m', dict(model=dict(type='Net')), checkpoint)
    memory = Memory(str(folder)).of_mentor(settings)
    memory.describe(None, resize)
    memory.open(dict(samples=1))
    memory.encode([torch.zeros(1, 3)])
    return memory


@pytest.mark.parametrize('then, now', [(None, (64, 64)), ((64, 64), None), ((64, 64), (32, 32))])
def test_a_mentor_that_saw_pictures_of_another_size_is_refused(tmp_path, then, now):
    sizes = [None if size is None else Resize(size) for size in (then, now)]
    opened(tmp_path, sizes[0])
    opened(tmp_path, sizes[0])
    with pytest.raises(ValueError, match="holds what mentor 'm' answered .*: resize: "):
        opened(tmp_path, sizes[1])


def test_a_file_is_known_by_its_name_and_a_url_as_a_whole(tmp_path):
    opened(tmp_path / 'file', checkpoint='here/model.pth')
    opened(tmp_path / 'file', checkpoint='there/model.pth')
    url = 'https://host.example/{}/model.pth'
    opened(tmp_path / 'url', checkpoint=url.format('first'))
    opened(tmp_path / 'url', checkpoint=url.format('first'))
    with pytest.raises(
        ValueError, match='checkpoint: .*first/model.pth in .*second/model.pth here'
    ):
        opened(tmp_path / 'url', checkpoint=url.format('second'))


@pytest.mark.parametrize('content', ['', '{"format": 1}', '[]', '{"format": 1, "ment', b'\xff'])
def test_damaged_facts_are_named_and_how_one_goes_on(tmp_path, content):
    path = opened(tmp_path).folder / 'facts.json'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    words = f"memory.dir='{tmp_path}': {path} is damaged, .*: remove {path.parent}, or give another"
    with pytest.raises(ValueError, match=words):
        opened(tmp_path)
    with pytest.raises(ValueError, match=words):
        Answered(path.parent)(0)


def test_a_file_where_a_mentors_folder_should_be(tmp_path):
    (tmp_path / 'm').touch()
    with pytest.raises(ValueError, match=f"memory.dir='{tmp_path}': {tmp_path}/m is no folder"):
        opened(tmp_path)


def unopened(folder, resize=None):
    """A mentor's memory as a run has it that nobody was faster than."""
    settings = MentorSettings('m', dict(model=dict(type='Net')), None)
    memory = Memory(str(folder)).of_mentor(settings)
    memory.describe(None, resize)
    memory.open(dict(samples=1))
    return memory


def test_what_a_faster_run_has_answered_since_is_read(tmp_path):
    """Of two that begin together: crops are not cut of what is on the disk, so it must be found."""
    slow, other, fast = unopened(tmp_path), unopened(tmp_path, Resize((8, 8))), unopened(tmp_path)
    assert slow.read(0) is None and slow.there([0]) == [False]
    fast.write([0], fast.encode([torch.arange(3.0)[None]]))
    assert Answered(slow.folder)(0)
    assert slow.there([0, 1]) == [True, False]
    assert slow.decode([slow.read(0)], torch.device('cpu'))[0].tolist() == [[0.0, 1.0, 2.0]]
    with pytest.raises(ValueError, match='resize: .* in the memory, .* here'):
        other.read(0)


def test_a_runs_own_autocast_does_not_decide_what_is_remembered(tmp_path):
    class Live:
        def __call__(self, inputs, samples=()):
            return Answer((inputs @ torch.full((3, 3), 1 / 3),), torch.ones(1, dtype=torch.bool))

    inputs = torch.tensor([[0.1, 0.2, 0.7]])
    want = RememberedMentor('m', unopened(tmp_path / 'plain'), Live)(inputs, [0]).parts[0]
    with torch.autocast('cpu', torch.bfloat16):
        found = RememberedMentor('m', unopened(tmp_path / 'amp'), Live)(inputs, [0]).parts[0]
    assert torch.equal(found, want) and found.dtype is torch.float32
