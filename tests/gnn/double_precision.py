"""A process of a training in double precision: what of two results is not rounding shows."""

import torch

from holley_assets.gnn.distributed import main

if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    main()
