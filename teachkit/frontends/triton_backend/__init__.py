"""The Triton plug-in: with it installed and no CUDA device, plain Triton programs run on the emulator.

Triton finds it through the entry point group ``triton.backends`` (key ``cpu``) and imports :mod:`.compiler` and
:mod:`.driver` while ``import triton`` itself runs, so both import nothing that needs Triton to be complete.
"""

import triton as triton  # whoever imports the plug-in first must find Triton's own discovery done
