"""Stripe on loopback, for tests: the calls that the rail makes, as Stripe's API reference documents them, and the hands
of buyers, banks and whoever works in the dashboard. It knows nothing of the rail's code.

Requests are forms with bracketed names, answers are JSON. A POST with an idempotency key that was used gives the first
answer again, or an error when its parameters differ. Webhooks are signed here by the documented scheme: HMAC-SHA256,
in hex, over time, a full stop and the body.
"""

import hashlib
import hmac
import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "sk_test_51Loopback"
SECRET = "whsec_loopbackonly"
VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}\.[a-z]+$")
SMALLEST = {"usd": 50, "jpy": 50, "kwd": 150, "isk": 10_000}
"""The least that may be charged; 0 for others."""

Webhook = tuple[dict[str, str], bytes]


class Stripe:
    """Stripe's side.

    Attributes:
        faults: what happens to the next requests instead of an answer: a status, `drop`, or `hang`.
        calls: method and path of every request that came, in order.
        released: set to let those that hang go on.
    """

    def __init__(self) -> None:
        self.faults: deque[int | str] = deque()
        self.calls: list[tuple[str, str]] = []
        self.heads: list[dict[str, str]] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.forms: dict[str, dict[str, str]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.backs: dict[str, dict[str, Any]] = {}
        self.released = threading.Event()
        self.lock = threading.Lock()
        self._answers: dict[str, tuple[dict[str, str], int, dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Answer nobody any more."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, form: dict[str, str], head: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """What the API answers to a request."""
        if head.get("authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_request_error", "", f"Invalid API Key provided: {head.get('authorization')}")
        if not VERSION.match(head.get("stripe-version", "")):
            return _error(400, "invalid_request_error", "", "no version")
        key = head.get("idempotency-key", "")
        if method == "POST" and key in self._answers:
            first_form, first_status, first_content = self._answers[key]
            if first_form != form:
                return _error(
                    400, "idempotency_error", "", "Keys for idempotent requests can only be used with the same"
                )
            return first_status, first_content
        status, content = self._do(method, path.strip("/").split("/")[1:], form)
        content = json.loads(json.dumps(content))
        # What was refused before anything was begun is not remembered.
        if key and status == 200:
            self._answers[key] = (form, status, content)
        return status, content

    def session_of(self, reference: str) -> dict[str, Any]:
        """The one checkout of a purchase."""
        (found,) = [one for one in self.sessions.values() if one["client_reference_id"] == reference]
        return found

    def pay(self, session: dict[str, Any], *, at_once: bool = True) -> dict[str, Any]:
        """The buyer goes through with it, by card or by something that takes days."""
        intent = self._new("pi", {"object": "payment_intent", "status": "succeeded" if at_once else "processing"})
        intent["metadata"] = _nested(self.forms[session["id"]], "payment_intent_data[metadata]")
        self.intents[intent["id"]] = intent
        session |= {"status": "complete", "payment_intent": intent["id"], "url": None}
        session["payment_status"] = "paid" if at_once else "unpaid"
        return self._event("checkout.session.completed", session)

    def end_later(self, session: dict[str, Any], *, well: bool) -> dict[str, Any]:
        """What takes days has succeeded or failed."""
        session["payment_status"] = "paid" if well else "unpaid"
        self.intents[session["payment_intent"]]["status"] = "succeeded" if well else "requires_payment_method"
        return self._event(f"checkout.session.async_payment_{'succeeded' if well else 'failed'}", session)

    def expire(self, session: dict[str, Any]) -> dict[str, Any]:
        """Nobody has paid in time."""
        session |= {"status": "expired", "url": None}
        return self._event("checkout.session.expired", session)

    def refund(self, session: dict[str, Any], amount: int, status: str = "succeeded") -> list[dict[str, Any]]:
        """Give money back in the dashboard; all that Stripe tells about it."""
        refund = self._new("re", {"object": "refund", "amount": amount, "status": status, "metadata": {}})
        refund |= {"payment_intent": session["payment_intent"], "currency": session["currency"], "charge": "ch_1"}
        self.backs[refund["id"]] = refund
        given = [one for one in self.backs.values() if one["payment_intent"] == refund["payment_intent"]]
        charge = {"id": "ch_1", "object": "charge", "payment_intent": session["payment_intent"], "metadata": {}}
        charge |= {"amount_refunded": sum(one["amount"] for one in given), "currency": session["currency"]}
        return [self._event("refund.created", refund), self._event("charge.refunded", charge)]

    def dispute(self, session: dict[str, Any], amount: int, status: str = "needs_response") -> list[dict[str, Any]]:
        """The buyer's bank takes money back, or asks first."""
        dispute = self._new("du", {"object": "dispute", "amount": amount, "status": status, "metadata": {}})
        dispute |= {"payment_intent": session["payment_intent"], "currency": session["currency"], "charge": "ch_1"}
        self.backs[dispute["id"]] = dispute
        told = [self._event("charge.dispute.created", dispute)]
        if not status.startswith("warning"):
            told.append(self._event("charge.dispute.funds_withdrawn", dispute))
        return told

    def move(self, back_id: str, status: str, *event_types: str) -> list[dict[str, Any]]:
        """A refund or dispute goes on."""
        self.backs[back_id]["status"] = status
        return [self._event(event_type, self.backs[back_id]) for event_type in event_types]

    def _do(self, method: str, path: list[str], form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        match method, path:
            case "POST", ["checkout", "sessions"]:
                return self._create(form)
            case "GET", ["checkout", "sessions", session_id] if session_id in self.sessions:
                return 200, self._expanded(self.sessions[session_id], form)
            case "POST", ["checkout", "sessions", session_id, "expire"] if session_id in self.sessions:
                session = self.sessions[session_id]
                if session["status"] != "open":
                    text = f"Only Checkout Sessions with a status in [open] can be expired, not {session['status']}"
                    return _error(400, "invalid_request_error", "", text)
                session |= {"status": "expired", "url": None}
                return 200, session
            case "GET", ["refunds" | "disputes", back_id] if back_id in self.backs:
                return 200, self._expanded(self.backs[back_id], form)
        return _error(404, "invalid_request_error", "resource_missing", f"No such {path}")

    def _create(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        item = _nested(form, "line_items[0]")
        currency, amount = item["price_data][currency"], int(item["price_data][unit_amount"])
        refused = self._refused(form, currency, amount)
        if refused is not None:
            return refused
        session = self._new("cs_test", {"object": "checkout.session", "status": "open", "payment_status": "unpaid"})
        session |= {
            "amount_total": amount * int(item["quantity"]),
            "currency": currency,
            "client_reference_id": form["client_reference_id"],
            "metadata": _nested(form, "metadata"),
            "mode": form["mode"],
            "payment_intent": None,
            "expires_at": int(form["expires_at"]),
            "url": f"https://checkout.stripe.com/c/pay/{session['id']}",
        }
        self.sessions[session["id"]], self.forms[session["id"]] = session, form
        return 200, session

    @staticmethod
    def _refused(form: dict[str, str], currency: str, amount: int) -> tuple[int, dict[str, Any]] | None:
        kind = "invalid_request_error"
        if currency != currency.lower() or form["mode"] != "payment" or not form["success_url"].startswith("http"):
            return _error(400, kind, "", "malformed")
        if amount < SMALLEST.get(currency, 0):
            return _error(400, kind, "amount_too_small", "The Checkout Session's total amount is too small")
        if (currency == "isk" and amount % 100) or (currency == "kwd" and amount % 10):
            return _error(400, kind, "invalid_charge_amount", "too many decimals")
        if not 1_800 <= int(form["expires_at"]) - time.time() <= 86_400:
            return _error(400, kind, "", "`expires_at` must be between 30 minutes and 24 hours from creation")
        return None

    def _expanded(self, found: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
        if form.get("expand[0]") == "payment_intent" and found["payment_intent"] is not None:
            return found | {"payment_intent": self.intents[found["payment_intent"]]}
        return found

    def _new(self, prefix: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {"id": f"{prefix}_{next(self._numbers):024d}", "livemode": False} | fields

    def _event(self, event_type: str, subject: dict[str, Any]) -> dict[str, Any]:
        fields = {"object": "event", "type": event_type, "data": {"object": json.loads(json.dumps(subject))}}
        return self._new("evt", fields | {"created": int(time.time()), "api_version": "2026-10-28.endive"})


def signed(event: object, *, secret: str = SECRET, at_s: int | None = None) -> Webhook:
    """A webhook as it comes: headers and body."""
    body = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
    stamp = str(int(time.time()) if at_s is None else at_s)
    signature = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "Stripe-Signature": f"t={stamp},v1={signature}"}, body


@contextmanager
def running_stripe() -> Iterator[Stripe]:
    """One that answers while the block runs."""
    stripe = Stripe()
    try:
        yield stripe
    finally:
        stripe.close()


def _handler_of(stripe: Stripe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET", urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, method: str, form: str) -> None:
            head = {name.lower(): value for name, value in self.headers.items()}
            path = urlsplit(self.path).path
            with stripe.lock:
                stripe.calls.append((method, path))
                stripe.heads.append(head)
                fault = stripe.faults.popleft() if stripe.faults else None
                status, content = (
                    stripe.answer(method, path, dict(parse_qsl(form, keep_blank_values=True)), head)
                    if fault is None or fault in ("hang", "drop")
                    else _error(int(fault), "api_error", "", "a fault")
                )
            if fault == "hang":
                stripe.released.wait()
            if fault in ("hang", "drop"):
                # It was done, and nobody hears of it.
                self.close_connection = True
                return
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Request-Id", f"req_{len(stripe.calls)}")
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _error(status: int, kind: str, code: str, text: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"type": kind, "message": text} | ({"code": code} if code else {})}


def _nested(form: dict[str, str], prefix: str) -> dict[str, str]:
    return {
        name[len(prefix) + 1 : -1]: value
        for name, value in form.items()
        if name.startswith(f"{prefix}[") and name.endswith("]")
    }
