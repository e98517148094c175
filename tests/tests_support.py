"""What several test modules make."""

import numpy as np
import torch
from mmpose.testing import get_packed_inputs


def packed(distiller, samples=3):
    """Packed samples of 48x64 crops with everything that an OKSScorer asks for."""
    data = get_packed_inputs(
        samples, num_instances=1, num_keypoints=17, img_shape=(64, 48), input_size=(48, 64),
        heatmap_size=(24, 32), simcc_split_ratio=2.0, with_heatmap=True, with_simcc_label=True,
    )  # fmt: skip
    for sample in data['data_samples']:
        sample.set_metainfo(
            dict(
                dataset_name='coco',
                raw_ann_info=dict(area=900.0),
                input_size=(48, 64),
                input_scale=np.array([48.0, 64.0]),
                input_center=np.array([24.0, 32.0]),
            )
        )
    return data


def peaks(points, height, width):
    """Gaussian heatmaps ``(K, height, width)`` around points ``(K, 2)`` in heatmap pixels."""
    x = torch.exp(-((torch.arange(width) - points[:, :1]) ** 2) / 8)
    y = torch.exp(-((torch.arange(height) - points[:, 1:]) ** 2) / 8)
    return y[:, :, None] * x[:, None]
