"""Transformers' own common tests on our processor and image processor: `make test-peer`."""

import unittest
import unittest.mock

import pytest


pytest.importorskip("transformers_tests", reason="fetched by `make test-peer`")

from transformers_tests import test_image_processing_common as image_processing
from transformers_tests import test_processing_common as processing

from benchmarks.sawtooth.readers.reader import make_processor
from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor


pytestmark = pytest.mark.slow

# The tests count one tile per image
ONE_TILE = {"size": {"height": 28, "width": 28}, "detailed_tiles": [1, 1], "adaptive_tiles": None}


class TestMiniMonkeyProcessor(processing.ProcessorTesterMixin, unittest.TestCase):
    processor_class = MiniMonkeyProcessor

    @classmethod
    def _setup_image_processor(cls):
        return MiniMonkeyImageProcessor(**ONE_TILE)

    @classmethod
    def _setup_tokenizer(cls):
        return make_processor().tokenizer

    @staticmethod
    def prepare_processor_dict():
        return {"image_seq_length": 4, "chat_template": make_processor().chat_template}

    @unittest.skip("By design: an unknown argument (`is_override`) is refused, and the nearest known one named.")
    def test_args_overlap_kwargs(self):
        pass

    # `__call__` has both arguments, as every processor's, and refuses what isn't None
    def prepare_videos_inputs(self, batch_size=None):
        return None

    def prepare_audio_inputs(self, batch_size=None):
        return None

    def setUp(self):
        # A processor that was saved once says where its code is (`auto_map`), a new one doesn't yet
        self.enterContext(unittest.mock.patch.object(MiniMonkeyProcessor, "_auto_class", None))
        # Images of their chats are paths
        self.enterContext(unittest.mock.patch.object(MiniMonkeyImageProcessor, "allow_paths", True))
        # The tests know their factor by pixels below 0, which a very small one gives as well as -1, which is refused
        arguments = processing.MODALITY_TEST_SPECS["images"]["init_time_kwargs"]
        self.enterContext(unittest.mock.patch.dict(arguments, rescale_factor=1e-6))


class ImageProcessingTester(image_processing.ImageProcessingTester):
    def __init__(self, parent):
        super().__init__(parent, **ONE_TILE)

    def _get_image_processing_classes(self):
        return {"pil": MiniMonkeyImageProcessor}


class TestMiniMonkeyImageProcessor(image_processing.ImageProcessingTestMixin, unittest.TestCase):
    image_processor_tester_class = ImageProcessingTester

    @unittest.skip("`do_convert_rgb=False` is refused: the tower takes three channels.")
    def test_image_processor_from_dict_with_kwargs_has_attributes(self):
        pass

    @unittest.skip("Uses `do_convert_rgb=False`.")
    def test_call_numpy_4_channels(self):
        pass

    @unittest.skip("Its process can't import our class; tests/test_remote_code.py has such processes.")
    def test_pil_can_run_without_torchvision(self):
        pass

    @unittest.skip("By design: Pillow resizes as the published code does, and torchvision is not needed.")
    def test_new_models_require_torchvision_backend(self):
        pass
