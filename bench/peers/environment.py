"""Says on what a timing was taken. Import before NumPy: it fixes the number of BLAS threads."""

import os


def set_threads(count):
    """Must run before NumPy is imported; OpenBLAS and MKL read these once."""
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "BLIS_NUM_THREADS"):
        os.environ[name] = str(count)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)


def _openblas():
    """Version and kernel type of each loaded OpenBLAS (Linux only, empty elsewhere)."""
    import ctypes

    found = {}
    try:
        with open("/proc/self/maps") as maps:
            paths = {line.split()[-1] for line in maps if "openblas" in line.rsplit("/", 1)[-1]}
    except OSError:
        return found
    for path in sorted(paths):
        library = ctypes.CDLL(path)
        for suffix in ("", "64_"):
            try:
                config = getattr(library, "openblas_get_config" + suffix)
                core = getattr(library, "openblas_get_corename" + suffix)
            except AttributeError:
                continue
            config.restype = core.restype = ctypes.c_char_p
            found[os.path.basename(path)] = {"config": config().decode(), "core": core().decode()}
            break
    return found


def _cpu():
    try:
        with open("/proc/cpuinfo") as info:
            fields = dict(line.split(":", 1) for line in info.read().split("\n\n")[0].splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        return "%s, family %s model %s" % (fields.get("model name"), fields.get("cpu family"), fields.get("model"))
    except OSError:
        import platform

        return platform.processor()


def describe():
    """A dictionary for the JSON results."""
    import platform

    import numpy
    import scipy
    import scipy.linalg

    scipy.linalg.eigvalsh(numpy.eye(2))
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "openblas": _openblas(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
    }
