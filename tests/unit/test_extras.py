import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from imagecodecs import jpeg8_encode
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.extras import require
from lrrg.tests.poison import dataset, dicom, picture
from pydicom.encaps import encapsulate

ANSWER = """
import sys
sys.modules["imagecodecs"] = None
from lrrg.pipelines.settings import load
from lrrg.pipelines.engines.worker import answer, read
found = answer(sys.argv[1], load().read, read)
print(found.status, found.code, "lrrg[dicom]" in found.detail)
"""


def test_a_missing_extra_says_what_to_install():
    require("json", "anything")
    with pytest.raises(SettingsError, match=r"lrrg\[figures\]"):
        require("no_such_module", "figures")


def test_a_film_without_its_decoder_is_failed_and_may_be_retried(tmp_path: Path):
    deep = picture(120, 100).astype(np.uint16) << 4
    made = dataset(deep, BitsStored=12, HighBit=11)
    made.PixelData = encapsulate([jpeg8_encode(deep, lossless=True, bitspersample=12)])
    made.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLosslessSV1
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(made))
    done = subprocess.run([sys.executable, "-c", ANSWER, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["failed", "missing-decoder", "True"]
