"""Which model is read how."""

from benchmarks.sawtooth.cutting import SECOND_ALONE
from benchmarks.sawtooth.readers.sheet_recipe import LAST, WAYS
from benchmarks.sawtooth.run import CUT_WORDS, MEASUREMENTS, at_hand, make_parser


def test_every_model_of_the_reader_is_read_as_it_was_trained():
    readings = {name: measurements for name, _, measurements in at_hand()}
    assert len(readings) == len(set(readings)) and set(CUT_WORDS) <= set(readings)
    for stage in LAST:
        way = stage.output.removeprefix("reader/").rsplit("-", 1)[0]
        assert readings[f"reader-{way}-{stage.seed}"][0].methods == (WAYS[way],)
    for measurement in readings["reader-base"]:  # small letters and large ones
        assert set(measurement.methods) == {*WAYS.values(), SECOND_ALONE}


def test_every_measurement_is_a_command():
    for name, measurement in MEASUREMENTS.items():
        given = [name, "folder"] if measurement.needs_reader else [name]
        assert make_parser().parse_args(given).measurement == name
