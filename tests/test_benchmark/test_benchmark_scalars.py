"""Which of a work dir's starts the run in it is of, and with which weights it began."""

import json

import pytest

from classroomkd_mm.benchmark.scalars import evaluations, from_its_start, last_test, starts


def start(folder, name, config, *lines):
    vis = folder / name / 'vis_data'
    vis.mkdir(parents=True)
    (vis / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    if config is not None:
        (vis / 'config.py').write_text(config)


TRAINED, EVALUATED = dict(loss=1.0, step=5), dict(AP=0.5, step=1)
RESUMED = "resume = True\nload_from = 'w/epoch_1.pth'\n"


def test_what_lies_there_from_before_a_run_began_anew_is_not_the_runs(tmp_path):
    start(tmp_path, '1', "load_from = 'old.pth'\n", TRAINED, dict(AP=0.9, step=3))
    start(tmp_path, '2', "load_from = 'zoo.pth'\n", TRAINED, EVALUATED)
    start(tmp_path, '3', RESUMED + 'class A: pass\n', TRAINED, dict(AP=0.6, step=2))
    start(tmp_path, '4', 'x = 1\n', dict(AP=0.7))  # a test writes its config as well
    start(tmp_path, 'evaluated', None, dict(AP=0.8, step=4))
    assert [path.name for path in starts(tmp_path)] == ['2', '3', '4', 'evaluated']
    assert [one['AP'] for one in evaluations(tmp_path, 'AP')] == [0.5, 0.6, 0.7, 0.8]
    cfg = dict(resume=True, load_from='w/epoch_1.pth', a=1)
    assert from_its_start(cfg, tmp_path) == dict(resume=False, load_from='zoo.pth', a=1)
    assert from_its_start(dict(a=1), tmp_path) == dict(a=1)


def test_a_start_that_did_nothing_is_no_beginning(tmp_path):
    start(tmp_path, '1', 'a = 1\n', TRAINED, EVALUATED)
    start(tmp_path, '2', 'a = 1\n')  # killed before its first line
    assert [path.name for path in starts(tmp_path)] == ['1', '2']


@pytest.mark.parametrize('first', [RESUMED, None, 'class A: pass\n'])
def test_weights_that_nothing_tells_are_an_error(tmp_path, first):
    start(tmp_path, '1', first, TRAINED)
    with pytest.raises(ValueError, match='was resumed, and no start|is not a dumped config'):
        from_its_start(dict(resume=True), tmp_path)


def test_the_newest_test_is_told_by_its_own_log(tmp_path):
    assert last_test(tmp_path) == {}
    for name, text in (('1', '{"AP": 0.5, "time": 1}'), ('2', '{"loss": 1}\n{"AP": 0.9}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / f'{name}.json').write_text(text)
    assert last_test(tmp_path) == dict(AP=0.5)
