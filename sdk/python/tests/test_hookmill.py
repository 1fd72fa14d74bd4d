"""Tests of the SDK, without a host: `PYTHONPATH=sdk/python:sdk/python/stubs python3 -m unittest discover sdk/python/tests`."""

import json
import unittest
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import hookmill
from componentize_py_types import Err
from hookmill import Description, Event, Incident, Outcome, Severity
from hookmill.problems import take_problems
from hookmill.reading import to_json
from wit_world.imports import log

CASES = Path(__file__).parent / "../../cases"
LOGGED = []
log.write = lambda level, message: LOGGED.append(message)


def cases(name):
    return json.loads((CASES / f"{name}.json").read_text("utf-8"))


def event(body):
    body = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return Event("id", "test", 0, None, [], [], [], body)


def mapper_of(to_incidents, describe=lambda self: Description("n", "v", "s", None)):
    return type("Mapper", (hookmill.Mapper,), {"describe": describe, "to_incidents": to_incidents})()


def outcome_of(to_incidents, body="{}"):
    return mapper_of(lambda self, event: to_incidents(event)).to_incidents(event(body))


def values_of(body):
    """Returns the values of a body, as a mapper sees them, and the number of problems."""
    seen = []

    def to_incidents(event):
        seen.append(hookmill.read_json(event.body, "anything"))
        return Outcome([], [], [])

    try:
        return seen, len(outcome_of(to_incidents, body).problems)
    except Err as error:
        return [], 0 if "the body is empty" in error.value.value else 1


class Reading(unittest.TestCase):
    def test_times_are_converted_in_every_spelling_and_others_are_problems(self):
        for given, expected, is_problem in cases("times"):
            take_problems()
            with self.subTest(given):
                self.assertEqual((hookmill.timestamp(given), bool(take_problems())), (expected, is_problem))

    def test_severities_are_words_or_numbers_on_a_scale(self):
        for given, scale, expected, is_problem in cases("severities"):
            take_problems()
            with self.subTest(f"{given} on {scale}"):
                found = hookmill.severity(given, scale)
                self.assertEqual((found and found.name.lower(), bool(take_problems())), (expected, is_problem))

    def test_attack_names_are_found_in_any_spelling(self):
        for name, technique, tactic in cases("attack"):
            with self.subTest(name):
                self.assertEqual((hookmill.technique_id(name), hookmill.tactic_id(name)), (technique, tactic))

    def test_the_techniques_are_those_of_the_other_languages(self):
        # Not a link, because componentize-py follows none that leads out of the folder.
        here, there = (Path(__file__).parent / path for path in ("../hookmill/techniques.txt", "../../rust/src/attack/techniques.txt"))
        self.assertEqual(here.read_bytes(), there.read_bytes())

    def test_json_with_faults_is_repaired_in_its_place(self):
        def plain(value):
            if isinstance(value, dict):
                return int(value["$integer"]) if "$integer" in value else {name: plain(value[name]) for name in value}
            return [plain(element) for element in value] if isinstance(value, list) else value

        for body, values, problems in cases("json"):
            with self.subTest(body):
                self.assertEqual(values_of(body), (plain(values), problems))
        self.assertEqual(values_of(b'"\xff"')[0], ["\ufffd"])

    def test_what_is_too_deep_is_kept_as_text(self):
        def nested(depth):
            return "[" * depth + '{"a":"]"}' + "]" * depth

        self.assertEqual(to_json(hookmill.read_json(nested(63), "x")), nested(63))
        for depth in (64, 100_000):
            [value], _ = values_of(nested(depth))
            begin = "[" * 64 + ('"{' if depth == 64 else '"[[[')
            self.assertTrue(to_json(value).startswith(begin), to_json(value)[:80])

    def test_values_in_the_wrong_place_are_absent_and_reported(self):
        take_problems()
        value = {"list": [{"a": 1}], "text": "x", "none": "N/A", "empty": {}, "number": 7}
        paths = [("text", "a"), ("none", "a"), ("empty",), ("list",), ("list", "a")]
        self.assertEqual([hookmill.text(value, *path) for path in paths], [None] * 5)
        expected = [
            "`x` stands where an object is expected; it is left out",
            '`{"a":1}` stands where a text or a number is expected; it is left out',
            '`[{"a":1}]` stands where an object is expected; it is left out',
        ]
        self.assertEqual(take_problems(), expected)

    def test_json_inside_a_text_is_unfolded_and_other_values_stay(self):
        take_problems()
        value = {"host": '{"name": "h", "n": [1]}', "files": '["f", "g"]', "text": "[not JSON"}
        self.assertEqual([hookmill.text(value, "host", name) for name in ("name", "n")], ["h", "1"])
        lists = [hookmill.items(value, name) for name in ("files", "text")]
        self.assertEqual((lists, take_problems()), ([["f", "g"], ["[not JSON"]], []))
        self.assertEqual(hookmill.unfold('{"sample":true}'), {"sample": True})
        for value in ("[1", "text", "7", 7, None):
            self.assertEqual(hookmill.unfold(value), value)

    def test_numbers_are_written_as_in_the_other_languages(self):
        value = hookmill.read_json('{"a": 1795859703.0, "b": 12345678901234567890, "c": 1.5}', "x")
        self.assertEqual([hookmill.text(value, name) for name in "abc"], ["1795859703", "12345678901234567890", "1.5"])


class Returned(unittest.TestCase):
    def test_a_part_of_a_wrong_type_is_left_out_and_names_its_field(self):
        wrong = Incident("a", title="half \ud83d", severity="high", state=7, occurred_at="2026-02-30T00:00:00Z")
        wrong.changed_at = datetime(2024, 1, 15, 12)
        wrong.tags = ["x", 5, ""]
        for data_type, value in (("IP", "192.0.2.1"), ("ip", 3), ("ip", "192.0.2.1")):
            wrong.observables.append(hookmill.Observable(data_type, value, None, [], False))
        wrong.details = "none"
        made = outcome_of(lambda _: hookmill.outcome(wrong, Incident(None), "text", Incident(5)))
        self.assertEqual([incident.source_ref for incident in made.incidents], ["a", "5"])
        first = made.incidents[0]
        self.assertEqual((first.title, first.severity, first.state, first.occurred_at), ("half \ufffd", None, None, None))
        self.assertEqual((first.changed_at, first.tags, len(first.observables)), ("2024-01-15T12:00:00Z", ["x"], 1))
        for part in (
            "incidents[0].severity` = 'high'; expected Severity.INFORMATIONAL, ", "incidents[0].state", "2026-02-30",
            "incidents[0].tags[1]", "incidents[0].observables[0].data_type", "incidents[0].observables[1].value",
            "incidents[0].details", "incidents[1].source_ref", "incidents[2]",
        ):
            self.assertTrue(any(part in text for text in made.problems), f"{part}: {made.problems}")

    def test_a_result_that_is_not_an_outcome_is_an_error_that_names_it(self):
        for returned, text in ((None, "returned None; expected Outcome("), ([Incident("a")], "returned a list")):
            with self.assertRaisesRegex(TypeError, text.replace("(", r"\(")):
                outcome_of(lambda _, returned=returned: returned)
        describe = lambda self: SimpleNamespace(name="n", version=1)  # noqa: E731
        with self.assertRaisesRegex(TypeError, "`version` = 1"):
            mapper_of(None, describe).describe()

    def test_errors_are_logged_with_the_authors_file(self):
        def to_incidents(_):
            return None + 1

        with self.assertRaises(TypeError):
            outcome_of(to_incidents)
        first, second, *_ = LOGGED[-1].split("\n")
        self.assertTrue(first.startswith("TypeError: unsupported operand"))
        self.assertRegex(second, r"^  at to_incidents \(test_hookmill.py:\d+\)$")

    def test_each_value_of_a_payload_is_mapped_and_one_that_is_wrong_costs_no_other(self):
        def to_incidents(event):
            value = hookmill.read_json(event.body, "a thing")
            if isinstance(value, list):
                raise hookmill.unsupported("expected a thing")
            if not isinstance(value, dict) or "id" not in value:
                raise hookmill.malformed("no id")
            return hookmill.outcome(Incident(value["id"]))

        for body in (
            '{"id":"a"}{"id":"b"}{}', '[{"id":"a"},{"id":"b"},{}]', '[{"id":"a"}]\n[{"id":"b"},{}]',
            '[{"id":"a"},{"id":"b"}]{}', '{"id":"a"}[{"id":"b"},{}]\0',
            json.dumps('[{"id":"a"},{"id":"b"},{}]'),
        ):
            made = outcome_of(to_incidents, body)
            self.assertEqual([incident.source_ref for incident in made.incidents], ["a", "b"], body)
            self.assertEqual(made.problems, ["JSON value 3 of 3: no id"])
        made = outcome_of(to_incidents, '[{"id":"a"},7,{"id":"b"}]')
        self.assertEqual((len(made.incidents), made.problems), (2, ["JSON value 2 of 3: no id"]))
        made = outcome_of(to_incidents, json.dumps([{"id": "a"}] * 2001))
        problem = "1 of 2001 JSON values are not read: at most 2000 are"
        self.assertEqual((len(made.incidents), made.problems), (2000, [problem]))
        refused = [("{}{}", "no id"), ("[{},{}]", "no id"), ("[{}]\n[{}]", "no id"), ('[[{"id":"a"}]]', "expected a thing")]
        for body, text in refused:
            with self.assertRaises(Err) as raised:
                outcome_of(to_incidents, body)
            self.assertEqual(raised.exception.value.value, text)

    def test_a_kind_that_cannot_be_read_is_not_skipped(self):
        made = outcome_of(lambda _: hookmill.skip("`login` is routine"))
        self.assertEqual((made.skipped, made.problems), (["`login` is routine"], []))
        made = outcome_of(lambda _: hookmill.skip("`log\ud83d` is routine"))
        self.assertEqual((made.skipped, made.problems), ([], ["`log\ufffd` is routine; a character of it is broken"]))

    def test_long_ids_are_shortened_and_remain_different(self):
        made = outcome_of(lambda _: hookmill.outcome(Incident("é" * 300 + "1"), Incident("é" * 300 + "2")))
        one, other = (incident.source_ref for incident in made.incidents)
        self.assertTrue(one != other and one.startswith("é" * 248) and len(one.encode()) == 512)
        self.assertIn("has 601 bytes and is shortened", made.problems[0])

    def test_many_problems_are_counted(self):
        def to_incidents(_):
            for number in range(60):
                hookmill.problem(f"problem {number}")
            return Outcome([], [], [])

        problems = outcome_of(to_incidents).problems
        self.assertEqual((len(problems), problems[-1]), (51, "10 further problems"))

    def test_the_rest_of_a_payload_is_kept_within_bounds(self):
        incident = Incident("a")
        incident.keep({"id": 1, "risk": 7, "apiKey": "k", **{f"big{n}": "x" * 5000 for n in range(20)}}, ["id"], "acme_")
        names = [detail.name for detail in incident.details]
        self.assertEqual(names[0], "acme_risk")
        self.assertTrue("fields_not_kept" in names and len(names) < 12 and not {"acme_id", "acme_apiKey"} & {*names}, names)

    def test_a_tag_an_observable_and_a_technique_are_compared_with_the_first_ones_only(self):
        incident = Incident("a")
        for number in [*range(1000), 0, 999]:
            incident.tag(f"tag {number}")
            incident.observe("hostname", f"host-{number}")
            incident.attack(f"T{1000 + number}")
        sizes = [len(found) for found in (incident.tags, incident.techniques, incident.observables)]
        self.assertEqual(sizes, [1001, 1001, 1000])


class StandardLibrary(unittest.TestCase):
    def test_parts_that_are_loaded_on_first_use_are_there(self):
        import sys

        mapper_of(None)
        for name in ("_strptime", "encodings.idna", "encodings.cp1252", "encodings.utf_16"):
            self.assertIn(name, sys.modules)


if __name__ == "__main__":
    unittest.main()
