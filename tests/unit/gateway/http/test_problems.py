"""Every refusal and every error of the ledger has one answer, and only what is broken inside is a 500."""

import msgspec
import pytest
from msgspec import UNSET

from gateway.http.problems import Problem, problem_of, problem_response
from gateway.wire.codes import FACTS, Code
from gateway.wire.http.public import ProblemDocument
from ledger import errors
from ledger.model import Refusal

TOLD = [
    (errors.LedgerUnavailable("x"), Code.UNAVAILABLE),
    (errors.EpochAwaited("x"), Code.UNAVAILABLE),
    (errors.RailUnavailable("x"), Code.UNAVAILABLE),
    (errors.RailRefused("x"), Code.UNPROCESSABLE),
    (errors.NotFound("x"), Code.NOT_FOUND),
    (errors.WrongState("x"), Code.WRONG_STATE),
    (errors.IdConflict("x"), Code.ID_CONFLICT),
    (errors.ValueRefused("rule", "x"), Code.UNPROCESSABLE),
    (errors.LimitReached(3, "x"), Code.LIMIT_REACHED),
    (errors.AgeForbids(Refusal.UNDER_AGE, 8), Code.UNDER_AGE),
    (errors.AgeForbids(Refusal.GUARDIAN_NEEDED, 17), Code.GUARDIAN_NEEDED),
    (errors.AgeForbids(Refusal.AGE_UNKNOWN, 0), Code.AGE_UNKNOWN),
    (errors.UnknownRail("x"), Code.UNKNOWN_PROVIDER),
    (errors.BadSignature("x"), Code.BAD_SIGNATURE),
    (errors.BadEvent("x"), Code.BAD_REQUEST),
    (errors.InvariantBroken("I1", "x"), Code.INTERNAL),
]
AGES = [(Refusal.UNDER_AGE, 8), (Refusal.GUARDIAN_NEEDED, 17), (Refusal.AGE_UNKNOWN, 0)]


@pytest.mark.parametrize(("error", "code"), TOLD)
def test_error_of_the_ledger(error: errors.LedgerError, code: Code) -> None:
    """Each has its code."""
    assert problem_of(error).code is code


def test_age_that_ends_a_refusal_is_told() -> None:
    """With a refusal for the age stands from when it is not one any more; an unknown age has no such number."""
    told = [problem_of(errors.AgeForbids(*refused)).document().age_min for refused in AGES]
    assert told == [8, 17, UNSET]


def test_table_of_errors_is_whole() -> None:
    """An error that the ledger gains must be given a code here."""
    known = {type(error) for error, _ in TOLD}
    listed = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LedgerError)}
    assert listed - {errors.LedgerError} == known


@pytest.mark.parametrize("code", Code)
def test_problem_document(code: Code) -> None:
    """Status, title and whether a retry helps are the code's; how long to wait stands where a retry helps."""
    response = problem_response(Problem(code, "why", field="$.id"))
    document = msgspec.json.decode(response.body, type=ProblemDocument)
    facts = FACTS[code]
    assert (response.status_code, document.status, document.title) == (facts.status, facts.status, facts.title)
    assert (document.code, document.detail, document.field) == (code, "why", "$.id")
    assert document.retryable == (document.retry_after_ms is not msgspec.UNSET) == ("retry-after" in response.headers)


def test_wait_is_rounded_up_for_the_header() -> None:
    """`Retry-After` has whole seconds, and never fewer than the document says."""
    response = problem_response(Problem(Code.OVERLOADED, retry_after_ms=1_001))
    assert response.headers["retry-after"] == "2"
    assert msgspec.json.decode(response.body, type=ProblemDocument).retry_after_ms == 1_001
