"""Maps GuardDuty findings: in events of EventBridge, bare as in S3 exports, in lists as in the answer of GetFindings, and in
messages of SNS, over HTTP or in the records of a Lambda function or a queue.

GuardDuty updates a finding: `count` and `updatedAt` change, the finding's `id` does not. The id of the envelope is new for
each delivery."""

import re
from typing import Any, Iterator, List, Optional
from urllib.parse import quote

import hookmill
from hookmill import (
    Description, Event, Incident, Outcome, Severity, State, at, items, malformed, problem, read_json, severity, text,
    timestamp, unfold, unsupported,
)

from finding_types import TACTICS, technique_of
from observed import observe_action, observe_evidence, observe_malware, observe_resource, observe_runtime
from sequence import observe_sequence

EXPECTED = "a GuardDuty finding with `id`, `type` and `severity`, by itself, from EventBridge or in an SNS message"
ENVELOPES_MAX = 3
FINDING_TYPE = re.compile(r"[A-Z]\w+:\w+/\S")

# Members that are read elsewhere or say nothing about the incident.
READ_OF_FINDING = {
    "accountId", "arn", "createdAt", "description", "id", "partition", "region", "resource", "schemaVersion", "service",
    "severity", "title", "type", "updatedAt",
}
READ_OF_SERVICE = {
    "action", "additionalInfo", "archived", "count", "detection", "detectorId", "ebsVolumeScanDetails", "eventFirstSeen",
    "eventLastSeen", "evidence", "featureName", "malwareScanDetails", "resourceRole", "runtimeDetails", "serviceName",
}


class Mapper(hookmill.Mapper):
    def describe(self) -> Description:
        summary = "GuardDuty findings, from EventBridge, SNS or bare"
        return Description("AWS GuardDuty", "0.1.0", summary, scheme="aws-sns")

    def to_incidents(self, event: Event) -> Outcome:
        result = Outcome([], [], [])
        for finding in findings(read_json(event.body, EXPECTED), result):
            if finding_id(finding) is None:
                result.problems.append("a finding has no `id`")
            else:
                result.incidents.append(incident(finding))
        if not (result.incidents or result.skipped or result.problems):
            raise unsupported(f"expected {EXPECTED}")
        if result.problems and not (result.incidents or result.skipped):
            raise malformed("; ".join(result.problems))
        return result


def findings(body: Any, result: Outcome, wrapped: int = 0) -> Iterator[Any]:
    """Yields the findings in a body, inside at most three envelopes. Maps the result of an object scan at once, and adds other
    GuardDuty events to the skipped parts."""
    body = camel_case(body)
    there = [name for name in ("severity", "service", "resource") if at(body, name) is not None]
    # A severity or a service that is missing costs only itself, if the type is one of GuardDuty's.
    if text(body, "type") and ({"severity", "service"} <= {*there} or (there and FINDING_TYPE.match(text(body, "type") or ""))):
        yield body
        return
    kind = text(body, "detail-type")
    if text(body, "source") == "aws.guardduty" or kind == "GuardDuty Finding":
        detail = unfold(at(body, "detail"))
        if kind == "GuardDuty Finding":
            yield camel_case(detail)
            return
        status = text(detail, "scanResultDetails", "scanResultStatus")
        if status == "THREATS_FOUND" or items(detail, "scanResultDetails", "threats"):
            result.incidents.append(object_scan(body, detail))
        elif status or "Object Scan" not in (kind or ""):
            what = f"{kind} ({status})" if status else kind
            result.skipped.append(f"{what} of GuardDuty is not a finding"[:200])
        else:
            result.problems.append(f"{kind} of GuardDuty has no status"[:200])
        return
    if wrapped == ENVELOPES_MAX:
        return
    for inner in envelope(body):
        yield from findings(unfold(inner), result, wrapped + 1)


def envelope(body: Any) -> List[Any]:
    """Returns what a message of SNS, the records of a Lambda function or a queue, or a list of findings contains."""
    message = at(body, "message") or at(body, "Message")
    records = items(body, "records") + items(body, "Records")
    inner = [at(record, "Sns") or at(record, "sns") or at(record, "body") for record in records]
    return [message, *inner, *items(body, "findings")]


def camel_case(value: Any) -> Any:
    """Returns a finding of GetFindings, whose names begin with upper case, with the names of EventBridge."""
    if not isinstance(value, dict) or not ("Findings" in value or ("Type" in value and "Severity" in value)):
        return value

    def convert(inner: Any) -> Any:
        if isinstance(inner, dict):
            # `AWS::IAM::Role` is a value that is used as a name.
            return {name if "::" in name else name[:1].lower() + name[1:]: convert(inner[name]) for name in inner}
        return [convert(element) for element in inner] if isinstance(inner, list) else inner

    return convert(value)


def finding_id(finding: Any) -> Optional[str]:
    arn = text(finding, "arn") or ""
    return text(finding, "id") or (arn.rsplit("/", 1)[1] if "/finding/" in arn else None)


def incident(finding: Any) -> Incident:
    service, resource, kind = at(finding, "service"), at(finding, "resource"), text(finding, "type") or ""
    found = Incident(finding_id(finding) or "", title=text(finding, "title") or kind or None)
    found.description = text(finding, "description")
    # `Recon:EC2/PortProbeUnprotectedPort`: the purpose, the resource, the threat family.
    purpose, _, threat = kind.partition(":")
    found.category = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", purpose).lower() or None
    found.vendor_severity = text(finding, "severity")
    found.severity = severity(found.vendor_severity, "0-10")
    found.state = {"true": State.RESOLVED, "false": State.OPEN}.get(text(service, "archived") or "")
    found.occurred_at = timestamp(text(service, "eventFirstSeen")) or timestamp(text(finding, "createdAt"))
    found.changed_at = timestamp(text(finding, "updatedAt"))
    found.external_link = console_link(finding)
    found.tag(f"guardduty:{kind}")
    # The protection plan, such as RuntimeMonitoring.
    found.tag(text(service, "featureName"))
    if text(service, "additionalInfo", "sample") == "true":
        found.tag("guardduty:sample")
    found.attack(technique_of(threat), TACTICS.get(purpose))
    for technique in items(service, "additionalInfo", "mitreTechniques"):
        found.attack(text(technique))

    observe_action(found, at(service, "action"))
    observe_resource(found, resource)
    observe_runtime(found, at(service, "runtimeDetails"))
    observe_malware(found, service)
    observe_evidence(found, at(service, "evidence"))
    observe_sequence(found, at(service, "detection", "sequence"), found.description if purpose == "AttackSequence" else None)
    if not found.techniques:
        found.attack(TACTICS.get(purpose))

    for name in ("accountId", "region", "arn", "type"):
        found.detail(name, text(finding, name))
    for name in ("count", "eventLastSeen", "resourceRole", "evidence"):
        found.detail(name, at(service, name))
    found.detail("additionalInfo", additional_info(service))
    found.detail("anomaly", at(service, "detection", "anomaly"))
    found.keep(service, READ_OF_SERVICE, "service_")
    found.keep(finding, READ_OF_FINDING)
    return found


def additional_info(service: Any) -> Any:
    """Returns the further facts, of which `value` has the same ones as JSON in a text."""
    facts = at(service, "additionalInfo")
    if not isinstance(facts, dict):
        return facts
    rest = {name: facts[name] for name in facts if name not in ("value", "type")}
    inner = unfold(facts.get("value"))
    return {**inner, **rest} if isinstance(inner, dict) else rest or inner


def object_scan(event: Any, detail: Any) -> Incident:
    """Maps the result of a scan of an S3 object that found threats. Without GuardDuty itself, there is no finding about it."""
    bucket, key = text(detail, "s3ObjectDetails", "bucketName"), text(detail, "s3ObjectDetails", "objectKey")
    version = text(detail, "s3ObjectDetails", "versionId") or text(detail, "s3ObjectDetails", "eTag") or ""
    threats = [name for threat in items(detail, "scanResultDetails", "threats") if (name := text(threat, "name"))]
    if bucket and key:
        known_id = f"object-scan:{bucket}/{key}@{version}"
    else:
        problem("the result of an object scan does not name its object")
        known_id = f"object-scan:{text(event, 'id') or text(event, 'time')}"
    found = Incident(known_id, title=f"Malware in s3://{bucket or '?'}/{key or '?'}: {', '.join(threats)}")
    found.category, found.severity = "malware", Severity.HIGH
    found.occurred_at = timestamp(text(event, "time"))
    found.tag("guardduty:ObjectScan")
    found.observe("other", f"arn:aws:s3:::{bucket}" if bucket else None, "affected bucket")
    found.observe("filename", key, "malicious file")
    found.keep(event, {"detail", "detail-type", "id", "resources", "source", "time", "version"})
    found.keep(detail, {"schemaVersion"}, "scan_")
    return found


def console_link(finding: Any) -> Optional[str]:
    """Returns the link to the finding in the console of its AWS partition."""
    region, known_id = text(finding, "region"), finding_id(finding)
    hosts = {
        "aws": "console.aws.amazon.com",
        "aws-cn": "console.amazonaws.cn",
        "aws-us-gov": "console.amazonaws-us-gov.com",
    }
    host = hosts.get(text(finding, "partition") or "aws")
    if not region or not known_id or not host:
        return None
    region, known_id = quote(region, safe=""), quote(known_id, safe="")
    return f"https://{region}.{host}/guardduty/home?region={region}#/findings?macros=current&fId={known_id}"
