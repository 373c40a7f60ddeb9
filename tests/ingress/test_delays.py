from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.ingress.delays import LONGEST_DELAY, parse_delay
from durable.ingress.refusal import Refusal
from tests.ingress.checks import attempt


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("PT1S", timedelta(seconds=1)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("P1D", timedelta(days=1)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("P1W", timedelta(weeks=1)),
        ("PT1.5H", timedelta(minutes=90)),
        ("pt1m", timedelta(minutes=1)),
        ("1s", timedelta(seconds=1)),
        ("60sec", timedelta(seconds=60)),
        ("60 sec", timedelta(seconds=60)),
        ("500ms", timedelta(milliseconds=500)),
        ("1m", timedelta(minutes=1)),
        ("1h30m", timedelta(minutes=90)),
        ("1 hour, 30 minutes", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("1 day", timedelta(days=1)),
        ("2 days 1us", timedelta(days=2, microseconds=1)),
        ("1ns", timedelta(microseconds=1)),
        ("0", timedelta()),
        ("0s", timedelta()),
        ("1000", timedelta(seconds=1)),
        ("1000ms", timedelta(seconds=1)),
        ("3653d", LONGEST_DELAY),
    ],
)
def test_a_delay_reads_as(text, delay):
    assert parse_delay(text) == delay


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an empty text is not a duration"),
        ("foo", "'foo' is not a duration, write it like '1h 30m', '500ms' or 'PT1H30M'"),
        ("P", "'P' is not a duration"),
        ("PT", "'PT' is not a duration"),
        ("P1DT", "'P1DT' is not a duration"),
        ("1.5", "'1.5' is not a duration"),
        ("nan", "'nan' is not a duration"),
        ("1s 1h", "'1s 1h' is not a duration"),
        ("\u0661s", "'\u0661s' is not a duration"),
        ("-1s", "'-1s' is negative"),
        ("1s ago", "'1s ago' is negative"),
        ("P1M", "'P1M' has no fixed length, please use units of days or smaller"),
        ("P1Y", "'P1Y' has no fixed length, please use units of days or smaller"),
        ("2 months", "'2 months' has no fixed length, please use units of days or smaller"),
        ("1y", "'1y' has no fixed length, please use units of days or smaller"),
        ("3654d", "'3654d' is longer than ten years"),
        ("999999999999999999w", "'999999999999999999w' is longer than ten years"),
        ("9" * 19, "'9999999999999999999' is not a duration"),
    ],
)
def test_a_bad_delay_is_refused(text, why):
    with pytest.raises(Refusal) as caught:
        parse_delay(text)

    assert caught.value.message.startswith(f"bad delay query parameter, must be a ISO8601 duration: {why}")
    assert caught.value.status == 400


@given(st.timedeltas(min_value=timedelta(), max_value=LONGEST_DELAY))
def test_a_delay_comes_out_as_it_went_in(delay):
    seconds = delay.seconds + delay.microseconds / 1e6

    assert parse_delay(f"P{delay.days}DT{seconds:.6f}S") == delay
    assert parse_delay(f"{delay.days}d {seconds:.6f}s") == delay


@given(st.text(max_size=30) | st.text("PTDHMSdhms0123456789.,- ", max_size=30))
def test_any_text_is_a_delay_in_range_or_a_400(text):
    match attempt(lambda: parse_delay(text)):
        case Refusal(status=status):
            assert status == 400
        case delay:
            assert timedelta() <= delay <= LONGEST_DELAY
