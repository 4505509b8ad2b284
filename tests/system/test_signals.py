"""Signals that end a run are recorded or raised; ignored ones stay ignored."""

import os
import signal

import pytest

from tfdgm.system.signals import ENDING, Stopped, signals_raised, signals_recorded


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_each_signal_is_recorded_or_raised_and_the_old_handler_is_restored(number):
    before = signal.getsignal(number)
    with signals_recorded() as received:
        os.kill(os.getpid(), number)
        assert received == [number]
    with pytest.raises(Stopped, match=f"{number.name}: no more") as stopped, signals_raised("no more"):
        os.kill(os.getpid(), number)
        signal.pause()
    assert stopped.value.number == number and signal.getsignal(number) == before


def test_a_signal_ignored_by_nohup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_recorded() as received:
            os.kill(os.getpid(), signal.SIGHUP)
        assert received == [] and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), signals_recorded() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
