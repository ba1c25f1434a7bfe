"""Array files as NumPy itself writes them, for tests/formats/npy_test.cc.
Made with numpy 2.4; the bytes have not changed since 1.24.  usage: make_format_golden.py tests/golden/formats"""
import io
import pathlib
import sys
import zipfile

import numpy as np

out = pathlib.Path(sys.argv[1])
rows = np.arange(6, dtype="<f4").reshape(3, 2) / 4
ids = np.array([1, -2, 1 << 40, 0], dtype="<i8")
np.save(out / "rows.npy", rows)
np.save(out / "ids.npy", ids)

# np.savez writes the clock and the platform; everything else here is as it does it.
with zipfile.ZipFile(out / "arrays.npz", "w", zipfile.ZIP_STORED) as archive:
    for name, array in (("rows", rows), ("ids", ids)):
        info = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
        info.create_system = 0
        info.create_version = 45
        info.external_attr = 0
        body = io.BytesIO()
        np.save(body, array)
        with archive.open(info, "w", force_zip64=True) as member:
            member.write(body.getvalue())
        info.external_attr = 0
