# SPDX-License-Identifier: Apache-2.0
"""A check that cannot fail is a defect: each wrong that the oracle is there for, planted."""
import pytest

from chaos.client import Result
from chaos.oracle import Entry, Facts, Oracle, read_access, read_ledger
from chaos.plan import WITHIN, Content, Plan, Talk
from chaos.wire import Check, Wrong
from chaos.world import CAP, Event, Way

SEED = "7"
VIA, DIRECT = Way("caller0", "web", "route"), Way(None, "web", "direct")
PODS = [("web0", True, "127.0.0.9:80"), ("web1", True, "127.0.0.8:80"),
        ("bare0", False, "127.0.0.7:80")]


def id_where(wanted, plan=Plan, prefix="c0"):
    """An id whose plan is such a one."""
    return next(id_ for id_ in (f"{prefix}-{n}" for n in range(10_000))
                if wanted(plan(SEED, id_)))


def is_calm(plan):
    return not (plan.fault or plan.abort or plan.early or plan.interim or plan.expects)


POST = id_where(lambda plan: plan.method == "POST" and is_calm(plan))
GET = id_where(lambda plan: plan.method == "GET" and is_calm(plan) and plan.can_be_held)


def seen(id_, kinds="HERD", at=1.0, pod="web0", number=1):
    """What a backend notes of a request."""
    return [Entry(kind, at + n / 1000, pod, [id_, *(["1.1", str(number)] * (kind == "H"))])
            for n, kind in enumerate(kinds)]


def result(id_, kind="ok", detail="", way=VIA, begin=0.9, end=1.1, reused=0, pod=None):
    return Result(id_, way, kind, detail, begin, end, reused, pod)


def judge(results=(), entries=(), events=(), talks=(), tried=None):
    access = {"caller0": read_access("".join(
        f"event=access upstream={addr} request=\"GET /chaos/{id_}\" status=502 outcome=x\n"
        for id_, addr in (tried or {}).items()))}
    return Oracle(Facts(SEED, results, talks, events, entries, access, PODS))


def killed(what="app killed", who="web0", begin=0.95, end=1.05):
    return Event(begin, end, what, who)


def test_what_is_right_is_fine():
    oracle = judge([result(POST), result(GET)], [*seen(POST), *seen(GET)])
    assert not oracle.problems and not oracle.reasons


# --- what must never be, whatever has died ---

ALL_AT_ONCE = [killed(kind, who, 0, 9) for kind in ("app killed", "side killed", "app ended")
               for who in ("web0", "web1", "bare0")] + [killed("caller killed", "caller0", 0, 9)]


@pytest.mark.parametrize("results,entries", [
    pytest.param([result(POST)], seen(POST) + seen(POST, at=1.2, pod="web1"), id="doubled POST"),
    pytest.param([result(POST)], seen(POST) + seen(POST, "H", at=1.2), id="POST begun again"),
    pytest.param([result(POST)], [], id="answered by nobody"),
    pytest.param([result(POST)], seen(POST, "HRD"), id="answered before it was complete"),
    pytest.param([result(GET, "wrong", "byte 7 is wrong")], seen(GET), id="wrong byte"),
    pytest.param([result(GET)], [*seen(GET), Entry("X", 1, "web0", [GET, "byte 7"])],
                 id="wrong byte of a request"),
    pytest.param([result(GET, way=DIRECT, reused=CAP, pod="web0")], seen(GET), id="over the cap"),
    pytest.param([result(GET)], seen(GET, number=CAP + 1), id="over the cap upstream"),
    pytest.param([result(POST, "local", "503 no connection unseen", DIRECT, pod="web0")],
                 seen(POST, "HE"), id="not processed, but seen"),
])
def test_never(results, entries):
    assert judge(results, entries, ALL_AT_ONCE).problems


def test_broken_off_must_not_look_complete():
    id_ = id_where(lambda plan: plan.fault in WITHIN)
    assert judge([result(id_)], seen(id_, "HERF"), ALL_AT_ONCE).problems


# --- failures, with and without the event that permits them ---

@pytest.mark.parametrize("id_,kind,detail", [
    (GET, "lost", "FIN"), (GET, "cut", "RST"), (GET, "local", "502 closed"),
    (POST, "local", "502 closed"), (POST, "local", "503 no connection"), (POST, "refused", ""),
    (POST, "lost", "RST")])
@pytest.mark.parametrize("way", [VIA, DIRECT])
def test_no_failure_without_an_event(way, id_, kind, detail):
    far = [killed(begin=3, end=4), killed("drained"), killed(who="web1"),
           killed("app stopped"), killed("side stopped"), killed("published", "file")]
    pod = "web0" if way is DIRECT else None
    assert judge([result(id_, kind, detail, way, pod=pod)], seen(id_, "HE"), far,
                 tried={id_: "127.0.0.9:80"}).problems


@pytest.mark.parametrize("id_,kind,detail,way,event,reason", [
    (POST, "local", "502 closed", VIA, killed(), "killed_unrepeatable"),
    (POST, "cut", "RST", VIA, killed(), "broken_off"),
    (GET, "local", "502 closed", VIA, killed(), "killed_behind_sidecar"),
    (POST, "lost", "FIN", VIA, killed("caller killed", "caller0"), "caller_killed"),
    (POST, "refused", "", DIRECT, killed("side killed"), "sidecar_killed"),
    (GET, "local", "503 no connection unseen", DIRECT, killed(), "application_away"),
])
def test_failure_with_its_event(id_, kind, detail, way, event, reason):
    oracle = judge([result(id_, kind, detail, way, pod=None if way is VIA else "web0")],
                   seen(id_, "HE"), [event], tried={id_: "127.0.0.9:80"})
    assert not oracle.problems and list(oracle.reasons) == [reason]


def test_idempotent_request_to_a_killed_pod_goes_elsewhere():
    """Of bare pods there are others: no event excuses it."""
    for event in killed(who="bare0"), killed("side killed", "web0"), killed("app ended", "bare0"):
        where = {"bare0": "127.0.0.7:80", "web0": "127.0.0.9:80"}[event.who]
        assert judge([result(GET, "local", "502 closed")], seen(GET, "HE", pod=event.who),
                     [event], tried={GET: where}).problems


def test_twice_for_a_reason_and_for_none():
    twice = seen(GET, "HE", at=1.0) + seen(GET, at=1.05, pod="web1")
    assert judge([result(GET)], twice).problems
    assert not judge([result(GET)], twice, [killed()]).problems
    assert judge([result(GET)], twice, [killed(who="bare0")]).problems


# --- TCP ---

def test_talk():
    plain = id_where(lambda talk: not talk.reset_by and talk.down, Talk, "t0")
    reset = id_where(lambda talk: talk.reset_by == "server", Talk, "t0")

    def end(id_, how):
        return [Entry("T", 1, "web0", [id_]), Entry("t", 1.1, "web0", [id_, how])]
    assert not judge(talks=[result(plain)], entries=end(plain, "FIN")).problems
    assert judge(talks=[result(plain)], entries=end(plain, "RST")).problems
    assert judge(talks=[result(plain)], entries=end(plain, "FIN") * 2).problems
    assert judge(talks=[result(plain, "lost", "RST")], entries=end(plain, "FIN")).problems
    assert judge(talks=[result(plain, "wrong", "byte 1")], events=ALL_AT_ONCE).problems
    fault = [Entry("T", 1, "web0", [reset]), Entry("F", 1.1, "web0", [reset, "reset"])]
    assert not judge(talks=[result(reset, "lost", "RST")], entries=fault).problems
    assert judge(talks=[result(reset, "lost", "FIN")], entries=fault).problems
    assert judge(talks=[result(reset)], entries=fault).problems


# --- the parts ---

def test_check_finds_each_wrong():
    good = Content(SEED).of("a", "up", 1000)
    for data in (bytes(good[:500]) + b"?" + bytes(good[501:]), bytes(good) + b"x",
                 Content(SEED).of("b", "up", 1000), Content("8").of("a", "up", 1000)):
        with pytest.raises(Wrong):
            Check(good, "it").feed(data)
    check = Check(good, "it")
    check.feed(good[:999])
    with pytest.raises(Wrong):
        check.end()


def test_ledger_ignores_what_its_writer_has_not_finished():
    entries = list(read_ledger("H 1.5 a 1.1 1\nE 1.6 a\nD 1.7", "web0"))
    assert [(entry.kind, entry.at) for entry in entries] == [("H", 1.5), ("E", 1.6)]


def test_plan_is_a_function_of_the_seed():
    assert vars(Plan(SEED, POST)) == vars(Plan(SEED, POST)) != vars(Plan("8", POST))
