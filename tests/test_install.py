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


def test_openmmlab_is_an_extra():
    required = re.search(r'install_requires=\[(.*?)\]', (ROOT / 'setup.py').read_text()).group(1)
    assert 'torch' in required and 'mm' not in required
