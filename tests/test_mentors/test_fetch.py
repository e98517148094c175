"""Downloads, from a real HTTP server on this machine."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from torch import nn

from classroomkd_mm.mentors import load_weights
from classroomkd_mm.mentors.checkpoint import hash_in_name


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the URL that serves it; torch's cache is a folder of its own."""
    folder = tmp_path / 'served'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    httpd = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield folder, f'http://127.0.0.1:{httpd.server_port}'
    httpd.shutdown()


def publish(folder, network, suffix=None):
    """Save weights under a zoo's kind of name, the start of the file's SHA-256 in it."""
    torch.save(dict(state_dict=network.state_dict()), folder / 'new.pth')
    digest = suffix or hashlib.sha256((folder / 'new.pth').read_bytes()).hexdigest()[:8]
    name = f'net_coco_256x192-{digest}_20220913.pth'
    (folder / 'new.pth').rename(folder / name)
    return name


def test_a_url_is_downloaded_once_and_its_hash_verified(server, tmp_path):
    folder, url = server
    theirs, ours = nn.Linear(2, 2), nn.Linear(2, 2)
    name = publish(folder, theirs)
    load_weights(ours, f'{url}/{name}', 'mentor')
    assert torch.equal(ours.weight, theirs.weight)
    (folder / name).unlink()  # the second time it comes from the cache
    load_weights(nn.Linear(2, 2), f'{url}/{name}', 'mentor')


def test_a_file_that_does_not_fit_its_hash_is_refused_and_not_kept(server, tmp_path):
    folder, url = server
    name = publish(folder, nn.Linear(2, 2), suffix='0badc0de')
    with pytest.raises(
        RuntimeError, match="mentor: checkpoint='http.*cannot be downloaded: invalid hash value"
    ):
        load_weights(nn.Linear(2, 2), f'{url}/{name}', 'mentor')
    assert not list((tmp_path / 'cache').rglob('*.pth'))


def test_a_missing_file_says_which_mentor_and_url(server):
    with pytest.raises(RuntimeError, match=r"mentor 'm': checkpoint='http://.*/none.pth'.*404"):
        load_weights(nn.Linear(2, 2), f'{server[1]}/none.pth', "mentor 'm'")


@pytest.mark.parametrize('hashed', [True, False])
def test_a_damaged_file_in_the_cache_is_downloaded_again(server, tmp_path, hashed):
    folder, url = server
    theirs, ours = nn.Linear(2, 2), nn.Linear(2, 2)
    name = publish(folder, theirs)
    if not hashed:
        name = (folder / name).rename(folder / 'a.pth').name
    load_weights(ours, f'{url}/{name}', 'mentor')
    cached = next((tmp_path / 'cache').rglob('*.pth'))
    cached.write_bytes(cached.read_bytes()[:-300])
    load_weights(ours, f'{url}/{name}', 'mentor')
    assert torch.equal(ours.weight, theirs.weight)


def test_a_file_that_is_not_a_checkpoint(server):
    (server[0] / 'a.pth').write_bytes(b'half a file')
    with pytest.raises(ValueError, match='cannot be read as a checkpoint .truncated'):
        load_weights(nn.Linear(2, 2), f'{server[1]}/a.pth', 'mentor')


@pytest.mark.parametrize(
    'name, digest',
    [
        ('td-hm_hrnet-w48_8xb32-210e_coco-256x192-0e67c616_20220913.pth', '0e67c616'),
        ('resnet18_8xb32_in1k_20210831-fbbb1da6.pth', 'fbbb1da6'),
        ('rtmw-dw-l-m_simcc-cocktail14_270e-256x192-20231122.pth', None),
        ('net-20c0ffee_20220101.pth', '20c0ffee'),
        ('last.pth', None),
    ],
)
def test_the_hash_in_a_name(name, digest):
    assert hash_in_name(name) == digest
