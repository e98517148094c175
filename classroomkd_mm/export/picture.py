"""Draw what an exported file predicts, by that file and export.json alone: a script.

usage: python picture.py FOLDER PICTURES.npy OUT.png

FOLDER holds export.json and end2end.onnx; the pictures are ``(N, H, W, 3)`` uint8, BGR, cut to the
graph's size. It needs numpy, OpenCV and onnxruntime, no PyTorch and no OpenMMLab.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT = 256  # of a picture on the sheet, pixels
LEAST = 0.3  # of the strongest keypoint's score: weaker ones are not drawn
GREEN, ORANGE, WHITE = (80, 200, 80), (40, 140, 250), (255, 255, 255)


def normalised(pictures: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    """Pictures as the graph takes them, ``(N, C, H, W)`` float32."""
    said = facts['normalisation']
    if said['channels'] == 'RGB':
        pictures = pictures[..., ::-1]
    if said['channels'] == 'grey':
        pictures = pictures[..., :1]
    values = (pictures.astype(np.float32) - np.float32(said['mean'])) / np.float32(said['std'])
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def keypoints(
    outputs: Sequence[np.ndarray], facts: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Places ``(N, K, 2)`` in pixels and scores ``(N, K)``, by the largest values."""
    _, height, width = facts['input']['shape'][1:]
    if facts['gives'] == 'simcc':
        x, y = outputs
        places = np.stack([x.argmax(-1) / x.shape[-1] * width, y.argmax(-1) / y.shape[-1] * height])
        return places.transpose(1, 2, 0), np.minimum(x.max(-1), y.max(-1))
    (maps,) = outputs
    rows, columns = maps.shape[-2:]
    flat = maps.reshape(*maps.shape[:2], -1)
    y, x = np.divmod(flat.argmax(-1), columns)
    return np.stack([x * width / columns, y * height / rows], -1), flat.max(-1)


def draw_person(picture: np.ndarray, points: np.ndarray, strong: np.ndarray, links: Any) -> None:
    """Draw a person into a picture."""
    for a, b in links:
        if strong[a] and strong[b]:
            ends = [tuple(map(int, points[i])) for i in (a, b)]
            cv2.line(picture, ends[0], ends[1], GREEN, 2, cv2.LINE_AA)
    for point in points[strong]:
        cv2.circle(picture, tuple(map(int, point)), 3, ORANGE, -1, cv2.LINE_AA)


def write_class(picture: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> None:
    """Write the likeliest class into a picture."""
    best = int(scores.argmax())
    said = f'{classes[best] if classes else best} {scores[best]:.0%}'
    cv2.rectangle(picture, (0, 0), (picture.shape[1], 24), (0, 0, 0), -1)
    cv2.putText(picture, said, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1, cv2.LINE_AA)


def sheet(
    pictures: np.ndarray, outputs: Sequence[np.ndarray], facts: Mapping[str, Any]
) -> np.ndarray:
    """The pictures side by side, with what is predicted."""
    scale = HEIGHT / pictures.shape[1]
    size = (round(pictures.shape[2] * scale), HEIGHT)
    drawn = [cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC) for picture in pictures]
    if facts['gives'] == 'scores':
        for picture, scores in zip(drawn, outputs[0]):
            write_class(picture, scores, facts['classes'])
        return np.concatenate(drawn, axis=1)
    places, strength = keypoints(outputs, facts)
    strong = strength > LEAST * strength.max(-1, keepdims=True)
    for picture, points, clear in zip(drawn, places, strong):
        draw_person(picture, (points + 0.5) * scale, clear, facts['skeleton'])
    return np.concatenate(drawn, axis=1)


def main(folder: str, given: str, out: str) -> None:
    """Read, run, draw."""
    import onnxruntime

    facts = json.loads((Path(folder) / 'export.json').read_text())
    pictures = np.load(given)
    file = Path(folder) / 'end2end.onnx'
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    outputs = session.run(None, {facts['input']['name']: normalised(pictures, facts)})
    cv2.imwrite(out, sheet(pictures, outputs, facts))


if __name__ == '__main__':
    main(*sys.argv[1:])
