"""Downloads, from a real HTTP server on this machine."""

import hashlib
import os
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from fresh import ranks
from torch import nn

from classroomkd_mm.mentors import download
from classroomkd_mm.mentors.checkpoint import load_weights
from classroomkd_mm.mentors.download import fetch, hash_in_name

SERVED = []


class Handler(SimpleHTTPRequestHandler):
    """Serves files; the first part of the path says how badly."""

    def do_GET(self):
        SERVED.append(self.path)
        manner, _, name = self.path[1:].rpartition('/')
        if manner not in ('slow', 'moved', 'cut', 'silent'):
            return super().do_GET()
        if manner == 'moved':
            self.send_response(302)
            self.send_header('Location', f'/{name}')
            self.end_headers()
            return
        self.path = f'/{name}'
        content = open(self.translate_path(self.path), 'rb').read()
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        self.wfile.flush()
        if manner == 'slow':
            time.sleep(1.0)
        if manner != 'cut':
            if manner == 'silent':
                time.sleep(3.0)
            self.wfile.write(content[half:])


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the URL that serves it; torch's cache is a folder of its own."""
    folder = tmp_path / 'served'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    SERVED.clear()
    httpd = ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=str(folder)))
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


def test_a_file_that_is_not_a_checkpoint(server, tmp_path):
    (server[0] / 'a.pth').write_bytes(b'<html>Not here</html>')
    with pytest.raises(RuntimeError, match='downloaded: what came is not a whole checkpoint'):
        load_weights(nn.Linear(2, 2), f'{server[1]}/a.pth', 'mentor')
    assert not list((tmp_path / 'cache').rglob('*.pth'))


@pytest.mark.parametrize('manner', ['slow', 'moved'])
def test_a_slow_server_and_a_redirect_are_followed(server, manner):
    folder, url = server
    theirs, ours = nn.Linear(2, 2), nn.Linear(2, 2)
    load_weights(ours, f'{url}/{manner}/{publish(folder, theirs)}?download=1', 'mentor')
    assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize('hashed', [True, False])
def test_a_download_that_is_cut_off_leaves_nothing_and_can_be_repeated(server, tmp_path, hashed):
    folder, url = server
    theirs, ours = nn.Linear(2, 2), nn.Linear(2, 2)
    name = publish(folder, theirs)
    if not hashed:
        name = (folder / name).rename(folder / 'a.pth').name
    why = 'invalid hash value' if hashed else 'what came is not a whole'
    with pytest.raises(RuntimeError, match=f"mentor: checkpoint='http.*cut/.*downloaded: {why}"):
        load_weights(ours, f'{url}/cut/{name}', 'mentor')
    (left,) = [path.name for path in (tmp_path / 'cache').rglob('*') if path.is_file()]
    assert left.endswith(f'{name}.lock')
    load_weights(ours, f'{url}/{name}', 'mentor')
    assert torch.equal(ours.weight, theirs.weight)


def test_two_urls_of_one_file_name_are_two_files(server):
    folder, url = server
    for part in ('a', 'b'):
        (folder / part).mkdir()
        theirs, ours = nn.Linear(2, 2), nn.Linear(2, 2)
        name = publish(folder, theirs)
        (folder / name).rename(folder / part / 'last.pth')
        load_weights(ours, f'{url}/{part}/last.pth', 'mentor')
        assert torch.equal(ours.weight, theirs.weight)


def test_a_cache_that_cannot_be_written_serves_what_it_has(server, monkeypatch):
    folder, url = server
    theirs, ours = nn.Linear(2, 2), nn.Linear(2, 2)
    name = publish(folder, theirs)
    load_weights(ours, f'{url}/{name}', 'mentor')
    monkeypatch.setattr(download, 'FileLock', None)  # no lock is taken for a file that is there
    load_weights(ours, f'{url}/{name}', 'mentor')
    assert torch.equal(ours.weight, theirs.weight)


def test_a_server_that_falls_silent_is_given_up(server, monkeypatch):
    monkeypatch.setattr(download, 'SILENCE_S', 0.5)
    name = publish(server[0], nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match='cannot be downloaded: .*timed out'):
        load_weights(nn.Linear(2, 2), f'{server[1]}/silent/{name}', 'mentor')


@contextmanager
def _one_of_two_ranks(rank, folder):
    """Be a rank of a run on this machine."""
    os.environ['LOCAL_RANK'] = str(rank)
    torch.distributed.init_process_group('gloo', f'file://{folder}/init', rank=rank, world_size=2)
    yield
    torch.distributed.destroy_process_group()  # else gloo's threads may abort the process


def _fetch(rank, url, ready, alike):
    """One of two runs, or (``alike``) of two ranks of one run."""
    with _one_of_two_ranks(rank, ready) if alike else nullcontext():
        (ready / str(rank)).touch()
        while len(list(ready.glob('[01]'))) < 2:  # both set out together
            time.sleep(0.01)
        path = fetch(url, 'mentor')
        assert torch.load(path)['state_dict']['weight'].shape == (2, 2)


@pytest.mark.parametrize('alike', [False, True], ids=['two runs', 'two ranks'])
def test_two_at_once_download_once(server, tmp_path, alike):
    name = publish(server[0], nn.Linear(2, 2))
    (tmp_path / 'ready').mkdir()
    arguments = (f'{server[1]}/slow/{name}', tmp_path / 'ready', alike)
    ranks(_fetch, *arguments)
    assert len(SERVED) == 1


def _fetch_alone(rank, url, folder):
    with _one_of_two_ranks(rank, folder):
        if rank == 1:
            assert fetch(url, 'mentor', alone=True).is_file()
        total = torch.ones(1)
        torch.distributed.all_reduce(total)
        assert total == 2


def test_a_rank_that_alone_needs_a_file_fetches_it(server, tmp_path):
    name = publish(server[0], nn.Linear(2, 2))
    ranks(_fetch_alone, f'{server[1]}/{name}', tmp_path)
    with pytest.raises(RuntimeError, match='cannot be downloaded: .*404'):
        fetch(f'{server[1]}/none.pth', 'mentor', alone=True)


def _fail(rank, urls, folder):
    said = []
    with _one_of_two_ranks(rank, folder):
        for url in urls:
            with pytest.raises(RuntimeError) as error:
                load_weights(nn.Linear(2, 2), url, 'mentor')
            said.append(str(error.value))
    (folder / f'{rank}.txt').write_text('\n'.join(said))


def test_where_rank_0_cannot_download_every_rank_says_so(server, tmp_path):
    folder, url = server
    wrong = publish(folder, nn.Linear(2, 2), suffix='0badc0de')
    stale = publish(folder, nn.Linear(2, 2))
    # An old cut-off file in the way that rank 0 cannot replace: the other rank must not read it.
    cached = tmp_path / 'cache/hub/checkpoints' / stale
    cached.parent.mkdir(parents=True)
    torch.save(dict(state_dict=nn.Linear(2, 2).state_dict()), cached)
    Path(f'{cached}.lock').mkdir()
    urls = [f'{url}/none.pth', f'{url}/{wrong}', f'{url}/{stale}']
    ranks(_fail, urls, tmp_path)
    first, second = ((tmp_path / f'{rank}.txt').read_text() for rank in (0, 1))
    assert first == second
    said = first.splitlines()
    assert all('cannot be downloaded' in line and u in line for line, u in zip(said, urls))
    assert '404' in said[0] and 'invalid hash value' in said[1] and '.lock' in said[2]


def test_a_host_that_cannot_be_is_an_error_of_the_mentor(server):
    url = f'http://{"a" * 70}.example/a.pth'
    with pytest.raises(RuntimeError, match="mentor: checkpoint='http://aaa.*cannot be downloaded"):
        fetch(url, 'mentor')


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


@pytest.mark.parametrize('damage', [None, 'cut', 'head', 'text'])
def test_a_safetensors_file_by_url_needs_no_hash_in_its_name(server, damage):
    from safetensors.torch import save_file

    folder, url = server
    theirs, ours = nn.Linear(2, 2), nn.Linear(2, 2)
    save_file(theirs.state_dict(), folder / 'net.safetensors')
    whole = (folder / 'net.safetensors').read_bytes()
    given = dict(cut=whole[:-3], head=whole[:20], text=b'not found').get(damage, whole)
    (folder / 'net.safetensors').write_bytes(given)
    if damage is None:
        load_weights(ours, f'{url}/net.safetensors', 'mentor')
        assert torch.equal(ours.weight, theirs.weight)
    else:
        with pytest.raises(RuntimeError, match='mentor: checkpoint=.*what came is not a whole'):
            load_weights(ours, f'{url}/net.safetensors', 'mentor')
