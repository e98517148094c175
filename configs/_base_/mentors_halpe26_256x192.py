# RTMPose's networks of the 26 keypoints, and COCO's, which have 17 of them; strongest first.
zoo = dict(
    # Made for 384x288: it sees the 256x192 crop enlarged, at 2.25 times the cost.
    rtmpose_x=dict(name='rtmpose-x', zoo='rtmpose-x_8xb256-700e_body8-halpe26-384x288'),
    rtmpose_l=dict(name='rtmpose-l', zoo='rtmpose-l_8xb512-700e_body8-halpe26-256x192'),
    hrnet_w48=dict(name='hrnet-w48', zoo='td-hm_hrnet-w48_8xb32-210e_coco-256x192'),
    vitpose_base=dict(name='vitpose-base', zoo='td-hm_ViTPose-base_8xb64-210e_coco-256x192'),
    rtmpose_m=dict(name='rtmpose-m', zoo='rtmpose-m_8xb512-700e_body8-halpe26-256x192'),
)
