# SPDX-License-Identifier: Apache-2.0
"""What may follow from what. It takes the clients' results, the backends' ledgers, the
events of the world and the sidecars' access logs, and gives the problems: all that is not
explained by a rule below. An access log only tells which pod a request was tried on last;
what may have happened there, the ledgers and the events say."""
import collections
import re

from .plan import BEFORE, WITHIN, Plan, Talk
from .world import CAP

Entry = collections.namedtuple("Entry", "kind at pod words")
Tried = collections.namedtuple("Tried", "upstream status outcome")

# A client rests for a tenth of a second; longer is the machine's doing.
IDLE = 0.25

ACCESS = re.compile(r"event=access .*upstream=(\S*) request=\"\S+ \S*/chaos/(\S+)\" "
                    r"status=(\d+) outcome=(\w+)")


def read_ledger(text, pod):
    """Complete lines only: the last one may have died with its writer."""
    for line in text.split("\n")[:-1]:
        kind, at, *words = line.split(" ")
        yield Entry(kind, float(at), pod, words)


def read_access(text):
    """id -> what was tried last, of one calling sidecar."""
    return {found[2]: Tried(found[1], int(found[3]), found[4])
            for found in ACCESS.finditer(text)}


class Facts:
    """All that is known after a run."""

    def __init__(self, seed, results, talks, events, entries, access, pods):
        """pods: (name, has_side, address of its HTTP port); access: by caller."""
        self.seed, self.results, self.talks, self.events = seed, results, talks, events
        self.access = access
        self.pod_at = {addr: name for name, _, addr in pods}
        self.has_side = {name: has for name, has, _ in pods}
        self.entries = sorted(entries, key=lambda entry: entry.at)
        self.of = collections.defaultdict(lambda: collections.defaultdict(list))
        for entry in self.entries:
            if entry.kind not in "USQ":
                self.of[entry.words[0]][entry.kind].append(entry)

    def overlap(self, kinds, who, begin, end):
        return any(event.kind in kinds and event.who in who
                   and event.begin <= end and begin <= event.end for event in self.events)


class Case:
    """One failed attempt of a client, and what is known of it."""

    def __init__(self, facts, result):
        self.facts, self.result = facts, result
        self.plan = Plan(facts.seed, result.id)
        self.seen = facts.of[result.id]
        self.pod = result.pod
        self.tried = facts.access.get(result.way.caller, {}).get(result.id)
        if not self.pod and self.tried:
            self.pod = facts.pod_at.get(self.tried.upstream)
        self.has_side = facts.has_side.get(self.pod, False)
        self.status = int(result.detail.split()[0]) if result.kind == "local" else 0

    def met(self, *kinds):
        return self.pod and self.facts.overlap(kinds, [self.pod], self.result.begin,
                                               self.result.end)

    @property
    def is_direct(self):
        return not self.result.way.caller

    @property
    def was_first(self):
        """On its connection to the application, or it never came so far."""
        heads = [entry for entry in self.seen["H"] if entry.pod == self.pod]
        return not heads or heads[-1].words[2] == "1"

    @property
    def may_repeat(self):
        return self.plan.idempotent and self.plan.can_be_held


# --- the rules: each says whether it permits the case ---

def caller_killed(case):
    """The calling sidecar was killed."""
    way, result = case.result.way, case.result
    return way.caller and result.kind in ("lost", "cut", "refused") and case.facts.overlap(
        ["caller killed"], [way.caller], result.begin, result.end)


def planned_before(case):
    """The backend broke off before its response, as planned, and it may not be repeated,
    or the repetition broke off too, or there was nobody else to repeat it at: an
    application's own sidecar has no other for a new connection that died."""
    if case.plan.fault not in BEFORE or not case.seen["F"]:
        return False
    if case.plan.fault_again:               # after that nobody may be left to be asked
        return case.status in (502, 503)
    return case.status == 502 and (case.plan.fault == "rst-part-of-head"
            or not case.may_repeat or (case.has_side and case.was_first))


def planned_within(case):
    """The backend broke off within its response, as planned: the client must see it."""
    return case.plan.fault in WITHIN and case.seen["F"] and case.result.kind in ("cut", "lost")


def reset_from_behind(case):
    """A response behind it broke off, and the client's end of the connection, while it was
    still writing, has forgotten what had come before."""
    return case.result.kind in ("lost", "cut") and case.result.detail.startswith("RST") and any(
        Plan(case.facts.seed, id_).fault in WITHIN and case.facts.of[id_]["F"]
        for id_ in case.result.behind)


def broken_off(case):
    """The pod's application or sidecar was killed within the response."""
    return case.result.kind == "cut" and case.met("app killed", "side killed")


def killed_unrepeatable(case):
    """It was killed before the response to what may not be sent twice, or within the
    first heads of a response."""
    has_begun = (case.plan.interim and case.seen["R"]) or (
        case.plan.expects and case.seen["H"])
    return (case.status == 502 and (has_begun or not case.may_repeat)
            and case.met("app killed", "side killed"))


def killed_behind_sidecar(case):
    """The application was killed: its sidecar has no other, and what it tries on a new
    connection may die in the queue of the same listener."""
    return case.status == 502 and case.has_side and case.met("app killed")


def not_held(case):
    """The pod's sidecar found its application away, but the caller's has sent on too much
    of the request to hold all of it still."""
    return (case.status == 503 and case.has_side and not case.plan.can_be_held
            and case.met("app killed", "app ended"))


def application_away(case):
    """A caller without sidecar meets a pod whose application is not there."""
    return (case.is_direct and case.status == 503 and "unseen" in case.result.detail
            and case.met("app killed", "app ended"))


def sidecar_killed(case):
    """A caller without sidecar meets a pod whose sidecar is killed."""
    return (case.is_direct and case.result.kind in ("lost", "cut", "refused")
            and case.met("side killed"))


def idle_in_drain(case):
    """The client has been slower to ask again than the drain's delay is long: its request
    crosses the end of an idle connection."""
    return (case.is_direct and case.result.kind == "lost" and case.result.idle > IDLE
            and not case.seen["H"] and case.met("drained"))


def crossed(case):
    """The application closed a connection at the moment at which the request was sent on
    it, and the kernel had taken the request already: nobody can tell that from one that
    was processed, so what is not idempotent is not sent again. What dies in the queue of
    a listener that closes is not sent again there either, and a sidecar has no other."""
    if case.status != 502 or case.seen["H"]:
        return False
    if case.met("app ended"):
        return case.has_side or not case.may_repeat
    return not case.may_repeat and any(
        entry.kind == "U" and entry.pod == case.pod
        and case.result.begin - 0.1 <= entry.at <= case.result.end
        for entry in case.facts.entries)


RULES = (caller_killed, planned_before, planned_within, reset_from_behind, broken_off,
         killed_unrepeatable, killed_behind_sidecar, not_held, application_away,
         sidecar_killed, idle_in_drain, crossed)


# --- TCP: the same with fewer words ---

def pods_of(facts, result):
    """Those where the connection may have ended up."""
    if result.pod:
        return {result.pod}
    return {entry.pod for entry in facts.of[result.id]["T"]} or {
        name for name in facts.has_side if name.startswith(result.way.service)}


def talk_rule(facts, result, talk):
    """Why it may have failed, or None."""
    way = result.way
    seen = facts.of[result.id]
    if talk.reset_by == "client":
        return "reset by client"
    if talk.reset_by == "server" and seen["F"] and result.detail.startswith("RST"):
        return "reset by server"
    if way.caller and facts.overlap(["caller killed"], [way.caller], result.begin, result.end):
        return "caller_killed"
    if facts.overlap(["app killed", "side killed", "app ended"], pods_of(facts, result),
                     result.begin, result.end):
        return "pod harmed"
    return None


class Oracle:
    """problems: what is not explained. reasons: how often each rule was used."""

    def __init__(self, facts):
        self.facts = facts
        self.problems = []
        self.reasons = collections.Counter()
        self.explained = []
        self.judge_ledgers()
        for result in facts.results:
            self.judge(result)
        for result in facts.talks:
            self.judge_talk(result)

    def problem(self, what, id_, more=""):
        self.problems.append(f"{what}: {id_} {more}".rstrip())

    # --- what the backends have seen ---

    def judge_ledgers(self):
        for id_, seen in list(self.facts.of.items()):
            for entry in seen["X"]:
                self.problem("a backend got wrong bytes", id_, " ".join(entry.words[1:]))
            if len(seen["T"]) > 1:
                self.problem("a TCP connection came twice", id_)
            if seen["H"]:
                self.judge_request(id_, seen["H"])

    def judge_request(self, id_, heads):
        if any(int(entry.words[2]) > CAP for entry in heads):
            self.problem(f"more than {CAP} requests on a connection", id_)
        if len(heads) == 1:
            return
        if not Plan(self.facts.seed, id_).idempotent:
            self.problem("came twice, and is not idempotent", id_, self.story(id_))
            return
        results = [result for result in self.facts.results if result.id == id_]
        begin = min([heads[0].at, *(result.begin for result in results)])
        end = max([heads[-1].at, *(result.end for result in results)])
        # All but the one that was answered.
        if sum(not self.may_have_died(head, begin, end) for head in heads) > 1:
            tries = "".join(f"\n    {result}" for result in results)
            self.problem("came twice for no reason", id_, self.story(id_) + tries)

    def may_have_died(self, head, begin, until):
        """Whether the attempt may have ended without its response. A backend may take the
        request only when the sidecar that brought it is dead."""
        if any(entry.pod == head.pod and head.at <= entry.at <= until
               for entry in self.facts.of[head.words[0]]["F"]):
            return True
        return self.facts.overlap(["app killed", "side killed"], [head.pod], begin, until)

    def story(self, id_):
        lines = sorted((entry.at, entry.kind, entry.pod, *entry.words[1:])
                       for kind in self.facts.of[id_].values() for entry in kind)
        return "".join(f"\n    ledger {line}" for line in lines)

    # --- what the clients have got ---

    def judge(self, result):
        if not result.way.caller and result.reused >= CAP:
            self.problem(f"more than {CAP} responses on a connection", result.id)
        if result.kind == "wrong":
            self.problem("a client got something wrong", result.id,
                         f"{result}{self.story(result.id)}")
        elif result.kind == "ok":
            self.judge_ok(result)
        elif result.kind != "aborted":
            self.judge_failure(result)

    def judge_ok(self, result):
        seen, plan = self.facts.of[result.id], Plan(self.facts.seed, result.id)
        if not seen["R"]:
            self.problem("answered by nobody", result.id)
        if not plan.early and not seen["E"]:
            self.problem("answered though the request is not complete", result.id)
        if plan.fault in WITHIN and seen["F"]:
            self.problem("complete though it broke off", result.id, self.story(result.id))

    def judge_failure(self, result):
        case = Case(self.facts, result)
        if "unseen" in result.detail and case.seen["H"] and not case.plan.idempotent:
            self.problem("nigh-not-processed of what was seen", result.id,
                         self.story(result.id))
        rule = next((rule for rule in RULES if rule(case)), None)
        if rule:
            self.reasons[rule.__name__] += 1
            self.explained.append((rule.__name__, case))
        else:
            self.problem("a failure without a reason", result.id,
                         f"{result}\n    tried {case.tried} pod {case.pod} "
                         f"plan {vars(case.plan)}{self.story(result.id)}"
                         f"{self.around(case)}")

    def around(self, case):
        begin, end = case.result.begin, case.result.end
        return "".join(f"\n    event {event}" for event in self.facts.events
                       if event.begin <= end + 1 and begin - 1 <= event.end)

    def judge_talk(self, result):
        talk = Talk(self.facts.seed, result.id)
        if result.kind == "wrong":
            self.problem("a TCP client got something wrong", result.id, str(result))
        elif result.kind == "ok":
            seen = self.facts.of[result.id]
            ends = [entry.words[1] for entry in seen["t"]]
            # The kernel of who is killed sends FIN, and the other side goes on for a while.
            died = self.facts.overlap(
                ["app killed", "side killed", "caller killed"],
                [*pods_of(self.facts, result), result.way.caller], result.begin, result.end + 5)
            is_fine = not seen["F"] and (talk.reset_by == "client" or ends == ["FIN"])
            if not (is_fine or died):
                self.problem("a TCP connection ended well on one side only", result.id,
                             f"{result} {ends}")
        else:
            rule = talk_rule(self.facts, result, talk)
            if rule:
                self.reasons[f"tcp: {rule}"] += 1
            else:
                self.problem("a TCP failure without a reason", result.id,
                             f"{result} {vars(talk)}{self.story(result.id)}")
