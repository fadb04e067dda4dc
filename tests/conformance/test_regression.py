"The pieces of chapter 12 against closed forms: the pinhole, the head that keeps a map, the error in pixels, the range."
import math
import numpy as np, pytest, torch
from hypothesis import given, strategies as st
from torch import nn, tensor
from course_lib.core import *
from course_lib.datasets import *
from course_lib.samples import *
from course_lib.losses import plot_function
from course_lib.transfer import sigmoid_range
from course_lib.regression import *

K = np.array([[517.679, 0, 320.], [0, 480.5, 240.5], [0, 0, 1]])

@given(st.floats(-2000, 2000), st.floats(-2000, 2000), st.floats(1, 5000))
def test_pinhole_is_the_camera_matrix(X, Y, Z):
    u = K @ [X, Y, Z]
    np.testing.assert_allclose(pinhole((X, Y, Z), K), u[:2]/u[2], rtol=1e-5, atol=1e-3)

def test_centre_is_the_same_at_any_depth_and_halves_at_twice_the_depth():
    assert pinhole((0, 0, 700), K).tolist() == [320, 240.5] == pinhole((0, 0, 3000), K).tolist()
    near, far = pinhole((300, -100, 1000), K), pinhole((300, -100, 2000), K)
    torch.testing.assert_close(near - tensor([320, 240.5]), 2*(far - tensor([320, 240.5])))

@pytest.mark.parametrize('bad', [(0, 0, 0), (0, 0, -1), (0, 0, math.nan), (math.inf, 0, 1), (0, math.nan, 1)])
def test_pinhole_refuses_what_a_camera_cannot_see(bad):
    with pytest.raises(ValueError, match='depth'): pinhole(bad, K)

def test_sample_is_projected_as_the_book_does():
    path = untar_data(URLs.BIWI_SAMPLE)
    files = get_image_files(path)
    assert len(files) == 480 and len({f.parent.name for f in files}) == 24
    for f in files[::37]:
        x, y, z = np.genfromtxt(img2pose(f), skip_header=3)
        cal = np.genfromtxt(f.parent/'rgb.cal', skip_footer=6)
        np.testing.assert_allclose(get_ctr(f), [x*cal[0][0]/z + cal[0][2], y*cal[1][1]/z + cal[1][2]], rtol=1e-5)

def test_rotation_of_a_pose_is_one():
    R, centre = read_pose(img2pose(first(get_image_files(untar_data(URLs.BIWI_SAMPLE)))))
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-4)
    assert centre.shape == (3,) and np.linalg.det(R) == pytest.approx(1, abs=1e-4)

# The head

@pytest.mark.parametrize('n, h, w', [(1, 8, 10), (3, 4, 5), (2, 1, 7)])
def test_soft_argmax_is_the_mean_place(n, h, w):
    scores = torch.randn(2, n, h, w, generator=torch.Generator().manual_seed(0))*3
    expect = torch.zeros(2, n, 2, dtype=torch.float64)
    for b in range(2):
        for k in range(n):
            e = scores[b, k].double().exp()
            for i in range(h):
                for j in range(w): expect[b, k] += e[i, j]/e.sum()*tensor([(2*j + 1)/w - 1, (2*i + 1)/h - 1])
    torch.testing.assert_close(SoftArgmax()(scores).double(), expect.flatten(1), atol=1e-5, rtol=0)

def test_soft_argmax_stays_inside_with_huge_scores():
    scores = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(0))*1e6
    out = SoftArgmax()(scores)
    assert out.isfinite().all() and out.abs().max() < 1

def test_point_head_begins_in_the_middle_and_learns():
    set_seed(0)
    head = point_head(8, n_points=2, hidden=16)
    x = torch.randn(4, 8, 6, 8)
    assert head(x).shape == (4, 4) and head(x).abs().max() < 1e-6
    targ = torch.rand(4, 4) - .5
    opt = torch.optim.Adam(head.parameters(), .05)
    first_loss = nn.functional.mse_loss(head(x), targ).item()
    for _ in range(60):
        loss = nn.functional.mse_loss(head(x), targ)
        opt.zero_grad(); loss.backward(); opt.step()
    assert loss.item() < first_loss/10

# The error in pixels

def test_pixel_error_is_the_mean_distance():
    g = torch.Generator().manual_seed(0)
    p, t = torch.rand(7, 2, generator=g)*2 - 1, torch.rand(7, 1, 2, generator=g)*2 - 1
    expect = np.mean([math.hypot((a[0]-b[0])*320, (a[1]-b[1])*240) for a,b in zip(p.tolist(), t[:, 0].tolist())])
    assert pixel_error(p, t).item() == pytest.approx(expect, rel=1e-5)
    assert pixel_error(p, t, size=(240, 320)).item() == pytest.approx(expect/2, rel=1e-5)

def test_pixel_error_refuses_other_numbers_of_points():
    with pytest.raises(ValueError, match=r'\[4, 2\].*\[4, 2, 2\]'): pixel_error(torch.zeros(4, 2), torch.zeros(4, 2, 2))

def test_plot_function_draws_the_function():
    import matplotlib; matplotlib.use('agg')
    import matplotlib.pyplot as plt
    ax = plot_function(lambda x: sigmoid_range(x, -1, 1), 'in', 'out', min=-4, max=4)
    xs, ys = ax.lines[0].get_data()
    np.testing.assert_allclose(ys, np.tanh(np.asarray(xs)/2), atol=1e-6)
    assert (xs[0], xs[-1]) == (-4, 4) and (ax.get_xlabel(), ax.get_ylabel()) == ('in', 'out')
    plt.close('all')

def test_a_camera_is_read_once_and_again_when_its_file_has_changed(tmp_path):
    import os
    fn = tmp_path/'rgb.cal'
    def write(focal, ns):
        fn.write_text(f'{focal} 0 320\n0 {focal} 240\n0 0 1\n\n640 480\n')
        os.utime(fn, ns=(ns, ns))
    write(500, 10**18)
    cal = read_cal(fn)
    assert read_cal(fn) is cal and cal.size == (480, 640) # (height, width), as everywhere
    write(600, 2*10**18)
    assert read_cal(fn).matrix[0, 0] == 600
