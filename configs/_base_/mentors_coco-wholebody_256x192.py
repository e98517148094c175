# Networks of COCO-WholeBody's 133 keypoints, and COCO's, which have the body's 17; strongest first.
zoo = dict(
    rtmw_x=dict(name='rtmw-x', zoo='rtmw-x_8xb704-270e_cocktail14-256x192'),
    rtmw_l=dict(name='rtmw-l', zoo='rtmw-l_8xb1024-270e_cocktail14-256x192'),
    rtmpose_l=dict(name='rtmpose-l', zoo='rtmpose-l_8xb64-270e_coco-wholebody-256x192'),
    hrnet_w48=dict(name='hrnet-w48', zoo='td-hm_hrnet-w48_8xb32-210e_coco-256x192'),
    vitpose_base=dict(name='vitpose-base', zoo='td-hm_ViTPose-base_8xb64-210e_coco-256x192'),
)
