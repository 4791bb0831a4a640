"""Programs that say ``from numba import cuda``, unmodified, with ``TEACHKIT_NUMBA=1`` and nothing else.

Each is compared with the same package's own CPU code where that is there and right, else with NumPy here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks.coverage.arrays import Pairs, Programs, numbers

TITLE = "Numba-CUDA packages: time series, particles, tomography, operators, boosting, against their own CPU code"
PACKAGES = ("stumpy", "sarracen", "gamdpy", "algotom", "pylops", "frbb", "numba-cuda", "numba", "scipy", "scikit-learn")
CHUNK = 12
LIMIT_S = 200
ENVIRONMENT = {"TEACHKIT_NUMBA": "1"}

programs = Programs()
names, run = programs.names, programs.run

# float64 on both sides, in another order of sums.
_DOUBLE = 1e-9
# float32 on one side at least.
_SINGLE = 2e-5


def matrix_profile(name: str, *, joined: bool = False, gaps: bool = False, **options: Any) -> None:
    what = [*(["with another series"] if joined else []), *(["with gaps"] if gaps else [])]
    title = " ".join(["stumpy", name, *what, *(f"{key}={value}" for key, value in options.items())])

    @programs.add(title, 1e-6)  # as its own tests
    def profiles() -> Pairs:
        import stumpy

        walk = numbers().normal(size=(2, 300)).cumsum(1)
        if gaps:
            walk[0, 50], walk[0, 200:230] = math.nan, 1.0
        other = {"T_B": walk[1, :200], "ignore_trivial": False} if joined else {}
        functions = (getattr(stumpy, prefix + name) for prefix in ("gpu_", ""))
        got, expected = (function(walk[0], 20, **other, **options)[:, 0] for function in functions)
        return [(got, expected)]


for _name in ("stump", "aamp"):
    matrix_profile(_name)
    matrix_profile(_name, joined=True)
matrix_profile("stump", gaps=True)
matrix_profile("stump", k=3)
matrix_profile("aamp", p=1.0)


def on_profiles(name: str, call: Callable[[Callable[..., Any], Any], Any]) -> None:
    """Functions that ask for many matrix profiles: ``call(function, walks)``."""

    @programs.add(f"stumpy {name}", 1e-6)
    def both() -> Pairs:
        import stumpy

        walks = numbers().normal(size=(3, 200)).cumsum(1)
        got, expected = (call(getattr(stumpy, prefix + name), walks) for prefix in ("gpu_", ""))
        return [(got, expected)]


def all_windows(function: Callable[..., Any], walks: Any) -> Any:
    """Profiles for window after window, until all are there."""
    options = {} if function.__name__.startswith("gpu_") else {"percentage": 1.0}
    growing = function(walks[0], 5, 20, 5, **options)
    for _ in range(3):
        growing.update()
    return growing.PAN_


for _name in ("mpdist", "aampdist"):
    on_profiles(_name, lambda function, walks: function(walks[0], walks[1], 20))
for _name in ("ostinato", "aamp_ostinato"):
    on_profiles(_name, lambda function, walks: function(list(walks[:, :120]), 15)[0])
for _name in ("stimp", "aamp_stimp"):
    on_profiles(_name, all_windows)


# Not with exact=True: Numba makes 100,000 PTX instructions of that kernel, which takes minutes to compile.
def smoothed(name: str, n_dimensions: int, *targets: str, **options: Any) -> None:
    @programs.add(f"sarracen {name}" + "".join(f" {key}" for key in options), _DOUBLE)
    def picture() -> Pairs:
        from sarracen import SarracenDataFrame
        from sarracen.interpolate import interpolate

        n, random = 60, numbers()
        columns = {axis: random.uniform(-1, 1, n) for axis in "xyz"[:n_dimensions]}
        columns |= {"h": random.uniform(0.05, 0.3, n), "rho": random.uniform(0.5, 2, n), "m": [0.01] * n}
        columns |= {quantity: random.normal(size=n) for quantity in "ABC"}
        particles = SarracenDataFrame(columns, params={})
        size = {"pixels": 20} if name.endswith("line") else {"x_pixels": 20, "y_pixels": 16}
        if name.endswith("grid"):
            size["z_pixels"] = 5
        function = getattr(interpolate, f"interpolate_{name}")
        got, expected = (
            function(particles, *targets, backend=backend, normalize=False, **size, **options)
            for backend in ("gpu", "cpu")
        )
        return [(got, expected)]


smoothed("2d", 2, "A")
smoothed("2d_vec", 2, "A", "B")
smoothed("2d_line", 2, "A")
smoothed("3d_proj", 3, "A")
smoothed("3d_vec", 3, "A", "B", "C")
smoothed("3d_cross", 3, "A")
smoothed("3d_line", 3, "A")
smoothed("3d_grid", 3, "A")


def liquid() -> tuple[Any, Any, Any]:
    """gamdpy, a Lennard-Jones liquid in its box, and what its particles do to each other."""
    import gamdpy

    particles = gamdpy.Configuration(D=3)
    particles.make_lattice(gamdpy.unit_cells.FCC, cells=[4, 4, 4], rho=0.973)
    particles["m"] = 1.0
    particles["r"] += numbers().uniform(-0.05, 0.05, particles["r"].shape)
    particles.randomize_velocities(temperature=1.44, seed=7)
    return gamdpy, particles, gamdpy.apply_shifted_potential_cutoff(gamdpy.LJ_12_6_sigma_epsilon)


def forces(name: str, **plan: Any) -> None:
    @programs.add(f"gamdpy forces, {name}", _SINGLE)
    def evaluated() -> Pairs:
        import numpy as np

        gamdpy, particles, function = liquid()
        pairs = gamdpy.PairPotential(function, params=[1.0, 1.0, 1.6], max_num_nbs=500)
        plan_all = gamdpy.get_default_compute_plan(particles) | plan
        gamdpy.Evaluator(particles, [pairs], plan_all, verbose=False).evaluate()
        places, box = particles["r"].astype(float), particles.simbox.get_lengths().astype(float)
        apart = places[:, None] - places
        apart -= box * np.round(apart / box)
        square = (apart**2).sum(-1) + np.where(np.eye(len(places)), np.inf, 0)
        near, sixth = square < 1.6**2, square**-3.0
        force = np.where(near, 24 * (2 * sixth**2 - sixth) / square, 0)[..., None] * apart
        energy = np.where(near, 4 * (sixth**2 - sixth) - 4 * (1.6**-12 - 1.6**-6), 0) / 2
        # Where each pair is seen once, one of the two has all of its energy.
        return [(particles["f"], force.sum(1)), (particles["U"].sum(), energy.sum())]


forces("each pair seen twice", UtilizeNIII=False)
forces("each pair seen once", UtilizeNIII=True)
forces("one thread a particle", tp=1, pb=64)
forces("cells", nblist="linked lists", skin=0.2)


# Steps of 0.002 keep the energy to some parts in 10,000; an error in one force would not.
@programs.add("gamdpy NVE keeps the energy", 1e-3)
def energy_is_kept() -> Pairs:
    import numpy as np

    gamdpy, particles, function = liquid()
    pairs = gamdpy.PairPotential(function, params=[1.0, 1.0, 2.0], max_num_nbs=500)
    actions = [gamdpy.ScalarSaver(steps_between_output=4), gamdpy.MomentumReset(8)]
    steps = {"num_timeblocks": 2, "steps_per_timeblock": 32, "storage": "memory"}
    simulation = gamdpy.Simulation(particles, [pairs], gamdpy.integrators.NVE(dt=0.002), actions, **steps)
    simulation.run(verbose=False)
    potential, kinetic = (np.asarray(each) for each in gamdpy.extract_scalars(simulation.output, ["U", "K"]))
    energy = (potential + kinetic) / particles.N
    return [(energy, np.full_like(energy, energy[0]))]


@programs.add("algotom back projection", _SINGLE)
def back_projection() -> Pairs:
    """Against NumPy: the package's CPU code adds from several threads to one picture, and loses some of it."""
    import numpy as np
    from algotom.rec import reconstruction

    n = 40
    sinograms = numbers().uniform(0.2, 1.0, (30, 2, n)).astype(np.float32)
    angles = np.linspace(0, np.pi, 30).astype(np.float32)
    center = 19.3  # about 19.5 rays would pass the very border of the picture, inside or outside by a rounding
    expected = np.zeros((n, 2, n))
    across = np.arange(n) - (n - 1) / 2
    for rays, angle in zip(sinograms.astype(float), -angles.astype(float), strict=True):
        at = across * np.cos(angle) + across[:, None] * np.sin(angle) + center
        values = np.stack([np.interp(at, np.arange(n), each, left=0, right=0) for each in rays], 1)
        expected += values
    got = reconstruction.back_projection_gpu(sinograms[:, 0], angles, center)
    return [(got, expected[:, 0]), (reconstruction.back_projection_gpu_chunk(sinograms, angles, center), expected)]


@programs.add("algotom correlation maps", 1e-4)
def correlation_maps() -> Pairs:
    import numpy as np
    from algotom.util import correlation

    image, stack = numbers().uniform(size=(24, 24)).astype(np.float32), numbers().uniform(size=(3, 24, 24))
    pairs: Pairs = []
    for one in (image, stack.astype(np.float32)):
        part = one[..., 6:18, 6:18]
        got, expected = (correlation.generate_correlation_map(one, part, gpu=gpu) for gpu in (True, False))
        pairs.append((got, expected))
    return pairs


def operator(name: str, make: Callable[[Any, Any, str], Any], tolerance: float) -> None:
    @programs.add(f"pylops {name}", tolerance)
    def there_and_back() -> Pairs:
        import pylops

        got, expected = (make(pylops, numbers(), engine) for engine in ("cuda", "numpy"))
        model = numbers().normal(size=expected.shape[1]).astype(expected.dtype)
        data = numbers().normal(size=expected.shape[0]).astype(expected.dtype)
        return [(got.matvec(model), expected.matvec(model)), (got.rmatvec(data), expected.rmatvec(data))]


def convolution_2d(pylops: Any, random: Any, engine: str) -> Any:
    filters = random.normal(size=(3, 2, 5, 5))
    return pylops.signalprocessing.NonStationaryConvolve2D(
        dims=(23, 17), hs=filters, ihx=(3, 11, 19), ihz=(4, 12), engine=engine
    )


def convolution_3d(pylops: Any, random: Any, engine: str) -> Any:
    filters = random.normal(size=(2, 2, 2, 3, 3, 3))
    # Its own default of (24, 24, 24) threads is more than a block can have.
    threads = {"num_threads_per_blocks": (4, 8, 8)} if engine == "cuda" else {}
    return pylops.signalprocessing.NonStationaryConvolve3D(
        dims=(11, 9, 10), hs=filters, ihx=(3, 7), ihy=(2, 6), ihz=(3, 7), engine=engine, **threads
    )


operator("NonStationaryConvolve2D", convolution_2d, _DOUBLE)
operator("NonStationaryConvolve3D", convolution_3d, _DOUBLE)


@programs.add("frbb fit and decision", 1e-4)
def boosted_bins() -> Pairs:
    import numpy as np
    from frbb import FastRealBoostBins
    from sklearn.datasets import load_breast_cancer

    features, classes = load_breast_cancer(return_X_y=True)
    features = features.astype(np.float32)
    got, expected = (
        FastRealBoostBins(T=6, fit_mode=mode, decision_function_mode=mode, verbose=False).fit(features, classes)
        for mode in ("numba_cuda", "numba_jit")
    )
    return [
        (got.features_selected_, expected.features_selected_),
        (got.logits_, expected.logits_),
        (got.decision_function(features), expected.decision_function(features)),
    ]
