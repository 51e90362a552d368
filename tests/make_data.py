"""Export the real data of the specs from scikit-learn: `python tests/make_data.py` rewrites `specs/data`."""

from pathlib import Path

import numpy as np

DATA = Path(__file__).parent.parent / "specs" / "data"


def main() -> None:
    from sklearn.datasets import load_digits, load_iris

    digits, iris = load_digits(), load_iris()
    np.savez_compressed(
        DATA / "digits.npz",
        image=digits.images.astype(np.float32).reshape(-1, 1, 8, 8),
        label=digits.target.astype(np.int64),
    )
    np.savez_compressed(
        DATA / "iris.npz",
        measurements=iris.data.astype(np.float64),
        species=iris.target.astype(np.int64),
    )


if __name__ == "__main__":
    main()
