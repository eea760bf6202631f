# SPDX-License-Identifier: Apache-2.0
"""What was asked of the API server, by its own log."""
import collections
import json
import urllib.parse

# Each request of an account as it comes and as it ends; a watch may never end. Whether
# somebody took more of a node than its metadata shows in the answer only.
ACCOUNTS = {"userGroups": ["system:serviceaccounts"]}
POLICY = json.dumps({
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
    "omitStages": ["ResponseStarted", "Panic"],
    "rules": [{"level": "RequestResponse", **ACCOUNTS,
               "resources": [{"group": "", "resources": ["nodes"]}]},
              {"level": "Metadata", **ACCOUNTS},
              {"level": "None"}]})

Asked = collections.namedtuple("Asked", "verb resource namespace name field label")


def _asked(event):
    ref = event.get("objectRef", {})
    of_what = map(ref.get, ("resource", "namespace", "name"))
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(event["requestURI"]).query)
    which = (query.get(kind + "Selector", [None])[0] for kind in ("field", "label"))
    return Asked(event["verb"], *of_what, *which)


class Audit:
    """The log of one API server."""

    def __init__(self, path):
        self._path = path

    def _events(self, user, stage):
        if not self._path.exists():
            return []
        with open(self._path, encoding="utf-8") as file:
            events = [json.loads(line) for line in file if line.endswith("\n")]
        return [event for event in events
                if event["stage"] == stage and event["user"].get("username") == user]

    def asked(self, user):
        """How often this user made each request: a Counter of Asked."""
        return collections.Counter(map(_asked, self._events(user, "RequestReceived")))

    def codes(self, user):
        """How often this user got each status, of the requests that have ended."""
        return collections.Counter(event["responseStatus"]["code"]
                                   for event in self._events(user, "ResponseComplete"))

    def n_ended(self, user, verb):
        return sum(event["verb"] == verb
                   for event in self._events(user, "ResponseComplete"))

    def kinds(self, user, resource):
        """The kinds of object that this user was sent, watches apart."""
        return {event["responseObject"]["kind"]
                for event in self._events(user, "ResponseComplete")
                if event.get("objectRef", {}).get("resource") == resource
                and "responseObject" in event}
