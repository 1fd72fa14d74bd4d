import hookmill
from hookmill import *
class Mapper(hookmill.Mapper):
    def describe(self):
        return Description("a", "1", "s", None)
    def to_incidents(self, event):
        doc = read_json(event.body, "x")
        if at(doc, "boom"): raise KeyError("boom")
        i = Incident("x", title=" t ")
        i.observe("ip", "1.2.3.4", "x"); i.observe("ip", "127.0.0.1"); i.attack("T1234.001 CST0006"); i.detail("n", {"a": 1})
        return outcome(i)
