"""What the recorded data was made with, where it shows."""

import PIL


# Pillow 13 resizes some images to other values, by a gray level, than the releases before it
PILLOW_RESIZES_AS_RECORDED = int(PIL.__version__.partition(".")[0]) >= 13
