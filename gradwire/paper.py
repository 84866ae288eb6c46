"""Figures of the published machine that gradwire starts from, to print beside ours."""

#: Its clock in nanoseconds (45 nm).
CLOCK_NS = 4.0

#: Clocks in which one of its neurons with so many inputs trains on one sample.
NEURON_CLOCKS = {2: 152, 4: 225, 8: 368, 16: 661, 32: 1192, 64: 2325, 128: 4647}

#: Milliseconds in which its 3-3-3-1 network trains on so many samples.
TRAINING_MS = 10.6
TRAINING_SAMPLES = 6000

#: Clocks per iteration by topology; 3-3-3-1 by its training time.
ITERATION_CLOCKS = {
    "3-3-3-1": round(TRAINING_MS * 1e6 / TRAINING_SAMPLES / CLOCK_NS),
    "784-100-100-10": 16_075,
}

#: Memory access time of one iteration and read power of its small network, estimated with CACTI.
MEMORY = {
    "3-3-3-1": {
        "distributed": {"access_time_ns": 18.42, "read_power_mw": 18.17},
        "unified": {"access_time_ns": 52.82, "read_power_mw": 14.01},
    }
}

#: Test accuracy of its software by samples trained on, at a learning rate of 0.005.
ACCURACY = {
    "784-100-100-10": {
        100_000: 0.9720,
        200_000: 0.9748,
        300_000: 0.9755,
        400_000: 0.9778,
        500_000: 0.9788,
    }
}

#: Its small network: total power, milliseconds in which it tests so many samples.
SMALL_POWER_MW = 23.88 + 1.31
TEST_MS, TEST_SAMPLES = 1.7, 1000

#: Its 784-100-100-10 machine, by its authors' extrapolation: 100,000 samples.
MNIST = {"samples": 100_000, "seconds": 6.43, "power_w": 5.37}

#: Its software on 12 cores of 2.66 GHz: 100,000 samples of the same network.
MNIST_SOFTWARE = {"samples": 100_000, "seconds": 3.60 * 60}

#: Area of one of its neurons at 45 nm.
NEURON_AREA_UM2 = 51_171.5
