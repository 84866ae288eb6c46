"""A small report, all of whose sections are there."""

import pytest

from gradwire.report.model import Report

COMMAND = "gradwire report 3-4-2 --pes 2"


@pytest.fixture
def content():
    """The JSON object of a report, made up."""
    return {
        "kind": "gradwire report",
        "version": 1,
        "made": {
            "command": COMMAND,
            "date": "2026-01-31 12:00",
            "gradwire": "0.1.0",
            "python": "3.11.0",
            "processor": "a processor",
            "cores": 2,
        },
        "built": {
            "name": "gradwire_3_4_2_p2",
            "topology": "3-4-2",
            "pes": 2,
            "design": {
                "layers": [3, 4, 2],
                "processing_elements": 2,
                "batch": 1,
                "memory": "distributed",
                "subnormals": "flush",
                "multiplier_stages": 2,
                "adder_stages": 3,
                "sample_format": "fp32",
                "buffer_vectors": 256,
                "buffer_parts": 4,
            },
            "layers": [
                {
                    "number": number,
                    "inputs": inputs,
                    "outputs": outputs,
                    "activation": "sigmoid",
                    "mapping": "row",
                    "folds": 2,
                }
                for number, inputs, outputs in ((1, 3, 4), (2, 4, 2))
            ],
            "options": "--pes 2",
        },
        "clocks": {
            "per_iteration": 60,
            "per_sample": 60.0,
            "inference": 30,
            "limit": 24,
            "multiply_adds": 48,
            "busy": 0.4,
            "bars": [
                {
                    "unit": unit,
                    "layer": 1,
                    "operation": "REDUCE",
                    "mapping": "row",
                    "start": start,
                    "issued": start + 12,
                    "end": start + 21,
                    "multiply_adds": 12,
                }
                for unit, start in (("forward", 0), ("backpropagation", 20), ("descent", 41))
            ],
            "shares": [0.5, 0.3],
            "paper": 442,
            "command": "gradwire clocks 3-4-2 --pes 2",
        },
        "costs": [
            {
                "target": "ecp5-85k",
                "how": "placed and routed",
                "unit": "LUT4",
                "total": 1000,
                "parts": [
                    {"name": "", "within": "", "instances": 1, "amount": 100},
                    {"name": "PE", "within": "", "instances": 2, "amount": 300},
                    {"name": "adder", "within": "PE", "instances": 2, "amount": 600},
                ],
                "resources": [{"name": "LUT4", "used": 1000, "available": 800}],
                "fits": False,
                "pe_um2": None,
                "fmax_mhz": 80.0,
                "timing_by": "nextpnr",
                "critical_path": ["vectors", "multiplier"],
                "command": "gradwire synth 3-4-2 --pes 2",
            }
        ],
        "power": [
            {
                "target": "nangate45",
                "how": "activity of 20 samples",
                "frequency_mhz": 500.0,
                "power_mw": 12.0,
                "energy_nj": 3.5,
                "shares": [{"name": "forward 1", "kind": "forward", "energy_nj": 1.5}],
                "guess_mw": 20.0,
                "command": "gradwire power 3-4-2 --pes 2",
            }
        ],
        "learning": {
            "data": "red",
            "rate": 0.3,
            "seed": 1,
            "points": [
                {"samples": 0, "accuracy": 0.3, "loss": None},
                {"samples": 500, "accuracy": 0.9, "loss": 0.4},
                {"samples": 1000, "accuracy": 0.95, "loss": 0.2},
            ],
            "tests": 100,
            "paper": [{"samples": 1000, "accuracy": 0.94, "loss": None}],
            "command": "gradwire train 3-4-2 --pes 2",
        },
        "memories": {
            "organisation": "distributed",
            "banks": [
                {
                    "name": "weight bank",
                    "instances": 2,
                    "words": 16,
                    "bits": 32,
                    "fixed": False,
                    "area_um2": 700.0,
                    "access_ns": 0.2,
                    "access_energy_pj": 1.8,
                }
            ],
            "organisations": [
                {
                    "name": name,
                    "clocks_per_iteration": 60 * factor,
                    "reads_in_turn": 20 * factor,
                    "access_time_ns": 4.0 * factor,
                    "read_power_mw": 28.0,
                    "weights_area_um2": 2000.0,
                    "paper_access_time_ns": None,
                    "paper_read_power_mw": None,
                }
                for name, factor in (("distributed", 1), ("unified", 2))
            ],
            "streams": [
                {
                    "sample_format": "fp32",
                    "chip": "MT48LC16M16A2-75",
                    "frequency_mhz": 50.0,
                    "bytes": 20,
                    "clocks": 10.0,
                    "vectors": 256,
                    "parts": 4,
                    "waits": False,
                }
            ],
            "priced_by": "OpenRAM 1.2.3",
            "command": "gradwire memory 3-4-2 --pes 2",
            "stream_command": "gradwire clocks 3-4-2 --pes 2 --sdram MT48LC16M16A2-75",
        },
        "paper": {
            "neurons": [{"inputs": 2, "clocks": 28, "paper": 152}],
            "neuron_command": "gradwire clocks --neuron-table",
            "rows": [
                {
                    "network": "3-3-3-1",
                    "what": "clocks of an iteration",
                    "unit": "clocks",
                    "ours": 70.0,
                    "paper": 442.0,
                    "ratio": 6.3,
                    "how": "cycle model",
                    "command": "gradwire clocks 3-3-3-1",
                }
            ],
        },
        "software": [
            {
                "name": "numpy 2.0",
                "samples_per_second": 50000.0,
                "energy_uj": 200.0,
                "energy_by": "RAPL",
                "command": "python -m sim.software 3-4-2 sigmoid",
            }
        ],
        "missing": [{"section": "software", "what": "PyTorch", "needs": "its package, torch"}],
    }


@pytest.fixture
def report(content):
    """The same as a report."""
    return Report.model_validate(content)
