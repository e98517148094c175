"""The pins explain themselves, and nobody's OpenMMLab is overwritten."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_pin_has_its_reason_beside_it():
    pins = [
        line
        for line in (ROOT / 'requirements.txt').read_text().splitlines()
        if line and not line.startswith('#')
    ]
    assert len(pins) > 10
    assert all(re.match(r'(\./\S+|[\w-]+==[\d.]+)\s+# .{10,}', pin) for pin in pins)


def test_the_set_with_numpy_2_differs_only_for_a_reason():
    ours, other = (
        re.findall(r'^([\w-]+==[\d.]+)( +# .{10,})?', (ROOT / file).read_text(), re.M)
        for file in ('requirements.txt', 'requirements/numpy2.txt')
    )
    pins = {pin for pin, _ in ours}
    differing = [(pin, reason) for pin, reason in other if pin not in pins]
    assert len(other) > 20 and [pin for pin, _ in differing] == ['numpy==2.3.5']
    assert all(reason for _, reason in differing)


def test_openmmlab_is_an_extra():
    text = (ROOT / 'pyproject.toml').read_text()
    required = re.search(r'^dependencies = \[(.*?)\]', text, re.M).group(1)
    assert 'torch' in required and 'mm' not in required
    assert 'install_requires' not in (ROOT / 'setup.py').read_text()  # one place
