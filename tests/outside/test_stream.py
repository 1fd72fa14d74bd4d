"""A third-party client of the stream gets every entry once."""

from concurrent.futures import ThreadPoolExecutor

from conftest import ADMIN_TOKEN, eventually, npm


def test_eventsource_of_npm_over_a_restart(start):
    host = start("sources: { lab: { scheme: none, plugin: generic } }\n")
    # Listen on the same port again, so that the client reconnects.
    config = host.folder / "hookmill.yaml"
    config.write_text(config.read_text().replace("127.0.0.1:0", host.url.removeprefix("http://")))

    def is_followed():
        return "\nstream_readers 1\n" in host.session.get(f"{host.url}/metrics").text

    with ThreadPoolExecutor() as pool:
        follows = pool.submit(npm, "follow", url=f"{host.url}/api/stream", token=ADMIN_TOKEN, count=6)
        eventually("it follows", is_followed)
        host.post_alert("a")
        host.post_alert("b")
        host.kill()
        host.run()
        # The client reconnects after three seconds.
        incident = host.post_alert("c")["incident_id"]
        eventually("it follows again", is_followed)
        host.call("PATCH", f"/api/incidents/{incident}", json={"status": "closed"})
        host.call("DELETE", f"/api/incidents/{incident}")
        host.post_alert("d")
        events = follows.result()
    seen = [(event["type"], event["entry"]["object"]["source_ref"]) for event in events]
    assert seen == [(name, "abcccd"[index]) for index, name in enumerate(["create"] * 3 + ["update", "delete", "create"])]
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids))
    trail = host.get(f"/api/incidents/{incident}/audit")["data"]
    assert [event["entry"] for event in events[2:5]] == trail
