# MMPose's own COCO 256x192 networks and their published weights, strongest first.
zoo = dict(
    rtmpose_l=dict(name='rtmpose-l', zoo='rtmpose-l_8xb256-420e_coco-256x192'),
    hrnet_w48=dict(name='hrnet-w48', zoo='td-hm_hrnet-w48_8xb32-210e_coco-256x192'),
    hrnet_w32=dict(name='hrnet-w32', zoo='td-hm_hrnet-w32_8xb64-210e_coco-256x192'),
    vitpose_base=dict(name='vitpose-base', zoo='td-hm_ViTPose-base_8xb64-210e_coco-256x192'),
    rtmpose_m=dict(name='rtmpose-m', zoo='rtmpose-m_8xb256-420e_coco-256x192'),
    res152=dict(name='res152', zoo='td-hm_res152_8xb32-210e_coco-256x192'),
    res101=dict(name='res101', zoo='td-hm_res101_8xb64-210e_coco-256x192'),
    res50=dict(name='res50', zoo='td-hm_res50_8xb64-210e_coco-256x192'),
    rtmpose_s=dict(name='rtmpose-s', zoo='rtmpose-s_8xb256-420e_coco-256x192'),
    litehrnet_30=dict(name='litehrnet-30', zoo='td-hm_litehrnet-30_8xb64-210e_coco-256x192'),
)
