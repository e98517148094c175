"""Published networks: found by name, data set and metric, told of, and fetched."""

import pytest

from classroomkd_mm.analysis import check as tool
from classroomkd_mm.analysis import zoo
from classroomkd_mm.commands.errors import IN_WORDS
from classroomkd_mm.mentors.zoo import Published

HRNET = 'td-hm_hrnet-w48_8xb32-210e_coco-256x192'


def test_search_by_word_data_set_and_metric(capsys):
    assert tool.main(['search', 'hrnet-w48', '--dataset', 'coco', '--metric', 'ap']) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    values = [float(line.split('ap ')[1]) for line in lines]
    assert values == sorted(values, reverse=True) and any(HRNET in line for line in lines)


def test_nothing_found_is_an_error():
    with pytest.raises(IN_WORDS, match="no published network has .* metric 'PCKh'"):
        tool.main(['search', 'hrnet', '--metric', 'PCKh'])


def test_info_shows_what_a_mentor_needs(capsys):
    tool.main(['info', HRNET])
    text = capsys.readouterr().out
    for part in ('input_size (192, 256)', 'MSRAHeatmap', 'mean [123.675', 'AP 0.756', '0e67c616'):
        assert part in text
    with pytest.raises(IN_WORDS, match='did you mean'):
        tool.main(['info', HRNET + 'x'])


def test_a_metric_may_be_named_by_how_it_begins():
    found = zoo.search(zoo.Wanted(words=('resnet50',), metric='top 1'))
    assert found and all(network.metrics['Top 1 Accuracy'] for network in found[:3])


def test_a_network_whose_metric_has_no_value_is_not_the_best(monkeypatch):
    """The index names metrics without one."""
    networks = [
        Published(name, 'c', None, 'Body 2D', 'COCO', metrics)
        for name, metrics in (('a', dict(AP=0.5)), ('b', dict(AP=None)), ('c', dict(AP=0.7)))
    ]
    monkeypatch.setattr(zoo, 'zoo', lambda: {each.name: [each] for each in networks})
    found = zoo.search(zoo.Wanted(metric='ap'))
    assert [each.name for each in found] == ['c', 'a']
    assert zoo.found_table(found, 'ap')[1] == ['c', 'Body 2D', 'COCO', 'ap 0.7']
    assert zoo.found_table(networks[1:2])[1][-1] == 'AP None'
    assert [each.name for each in zoo.search(zoo.Wanted(['^[ab]$'], dataset='coc'))] == ['a', 'b']


def test_download_takes_names_and_configs(monkeypatch, tmp_path, capsys):
    fetched = []

    def fetch(url, who):
        fetched.append((url, who))
        return tmp_path / url.split('/')[-1]

    monkeypatch.setattr(zoo, 'fetch', fetch)
    config = tmp_path / 'classroom.py'
    config.write_text(
        "model = dict(mentors=[dict(name='a', config='c', checkpoint='https://x/a.pth'),\n"
        "    dict(name='b', config='c', checkpoint='here.pth'),\n"
        "    dict(name='c', config='c', checkpoint=None),\n"
        f"    dict(name='d', zoo='{HRNET}')])\n"
    )
    assert tool.main(['download', str(config), HRNET]) == 0
    (first, second, third) = fetched
    assert first == ('https://x/a.pth', 'mentors download') and second == third
    assert second[0].startswith('https://') and '0e67c616' in second[0]
    assert capsys.readouterr().out.splitlines()[1].split() == [first[0], str(tmp_path / 'a.pth')]


def test_a_mentor_without_weights_is_named_by_its_place(tmp_path):
    path = tmp_path / 'classroom.py'
    path.write_text('model = dict(mentors=[dict(checkpoint=None), dict(name="x")])')
    with pytest.raises(ValueError, match=r'classroom.py: mentors\[1\] must be a dict with zoo'):
        zoo.download([str(path)])
