"""The simulated TEE of a demo's server."""

import asyncio
import time

from attestation import QUOTE_SECONDS, Expectation, built_in_kinds, judge, read_policy, register
from l4proxy.demo.tee import IMAGE, OTHER_IMAGE, DemoTee, policy
from l4proxy.evidence_wire import Question, parse_answer

SPKI, NONCE = b"0Y-key", b"n" * 32
KINDS = register(built_in_kinds())
ASKED = read_policy(policy(), KINDS, lambda _name: b"")


async def judged(image: bytes) -> str:
    """What refuses the evidence of an image; empty: nothing does."""
    answer = await DemoTee(image, SPKI).answer(Question(NONCE).target)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    here = Expectation(spki=SPKI, nonce=NONCE)
    result = judge(parse_answer(body).evidence, ASKED, KINDS, here, time.time())
    return "" if result.reason is None else result.reason.name


async def test_the_right_image_is_accepted_and_another_is_not() -> None:
    """By the policy of the demo."""
    assert await judged(IMAGE) == ""
    assert await judged(OTHER_IMAGE) == "pcr0"


async def test_it_answers_one_at_a_time() -> None:
    """As slowly as a real one."""
    tee = DemoTee(IMAGE, SPKI)
    began = time.monotonic()
    await asyncio.gather(*(tee.answer(Question(NONCE).target) for _ in range(3)))
    assert time.monotonic() - began >= 3 * QUOTE_SECONDS


async def test_other_questions_have_no_answer() -> None:
    """Neither other pages nor other forms of binding."""
    tee = DemoTee(IMAGE, SPKI)
    for target in ("/", "/.well-known/attestation", Question(None).target, "//["):
        assert (await tee.answer(target)).startswith(b"HTTP/1.1 404 ")
