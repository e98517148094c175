"""What a memory is of: facts that a run with others is refused by."""

import pytest
import torch

from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.mentors.memory import Memory
from classroomkd_mm.structures import Resize


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
