"""Every acknowledged incident arrives at a receiver that often fails, although the host is killed several times."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests
from conftest import destination, eventually, yaml

EVENTS = 2_000
# The number of acknowledged incidents at each kill.
KILLS = (EVENTS // 10, EVENTS // 2)
SENDERS = 8
TIMEOUT_S = 2
# Long enough that no delivery becomes dead by chance.
RETRY_SCHEDULE = ["1s"] * 5 + ["2s"] * 3 + ["5s"] * 12
# Shares of requests that are answered 500, reset, or not answered.
FAILING, RESET, STALLED = 0.3, 0.02, 0.01
# Ten failures in a row pause the destination for seconds, which by chance could take minutes in all.
FAILURES_IN_A_ROW = 8
PATIENCE_S = 300


class Flaky:
    """Decides the answer to each request, and counts the accepted deliveries of each incident."""

    def __init__(self):
        self.random = random.Random(1)
        self.turn = threading.Lock()
        self.failures = 0
        self.taken = Counter()

    def __call__(self, request):
        with self.turn:
            chance = self.random.random()
            fails = chance < FAILING + RESET + STALLED and self.failures < FAILURES_IN_A_ROW
            self.failures = self.failures + 1 if fails else 0
            if not fails:
                self.taken[request.json()["objectId"]] += 1
                return 204
        if chance < FAILING:
            return 500
        if chance >= FAILING + RESET:
            # Longer than the host's timeout.
            threading.Event().wait(2 * TIMEOUT_S)
        return None


def test_every_acknowledged_incident_arrives(start, receiver):
    flaky = Flaky()
    webhook = destination(receiver(answer=flaky).url, retry_schedule=RETRY_SCHEDULE, timeout=f"{TIMEOUT_S}s")
    host = start(yaml(sources={"lab": {"scheme": "none", "plugin": "generic"}}, webhooks={"soc": webhook}))
    is_up = threading.Event()
    is_up.set()
    acknowledged = []

    def send(number):
        is_up.wait()
        try:
            acknowledged.append(host.post_alert(str(number))["incident_id"])
        except requests.RequestException:
            # Not acknowledged, so it may be lost.
            pass

    with ThreadPoolExecutor(SENDERS) as senders:
        sent = [senders.submit(send, number) for number in range(EVENTS)]
        for kill in KILLS:
            eventually(f"{kill} events are acknowledged", lambda kill=kill: len(acknowledged) >= kill, PATIENCE_S)
            # At most the requests in progress are not acknowledged.
            is_up.clear()
            host.kill()
            host.run()
            is_up.set()
    for one in sent:
        one.result()
    assert len(set(acknowledged)) == len(acknowledged) >= EVENTS - SENDERS * len(KILLS)
    eventually("every one has arrived", lambda: flaky.taken.keys() >= set(acknowledged), PATIENCE_S)
    # Deliveries in progress at a kill, or answered too late on a busy machine, are repeated.
    assert sum(flaky.taken.values()) - len(flaky.taken) <= EVENTS / 10
