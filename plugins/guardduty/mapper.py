"""Maps GuardDuty findings: in events of EventBridge, bare as in the API and in S3 exports, and in messages of SNS, over HTTP
or in the records of a Lambda function.

GuardDuty updates a finding: `count` and `updatedAt` change, the finding's `id` does not. The id of the envelope is new for
each delivery."""

import re
from typing import Any, Iterator, Optional
from urllib.parse import quote

import hookmill
from hookmill import (
    Description, Event, Incident, Outcome, Severity, State, at, items, malformed, read_json, text, timestamp, unsupported,
)

EXPECTED = "a GuardDuty finding with `id`, `type` and `severity`, by itself, from EventBridge or in an SNS message"

# The ATT&CK tactic of the purpose, the first part of a finding's type. A finding's type has no other reference to ATT&CK.
TACTICS = {
    "Backdoor": "TA0011",
    "CredentialAccess": "TA0006",
    "DefenseEvasion": "TA0005",
    "Discovery": "TA0007",
    "Execution": "TA0002",
    "Exfiltration": "TA0010",
    "Impact": "TA0040",
    "InitialAccess": "TA0001",
    "Persistence": "TA0003",
    "PrivilegeEscalation": "TA0004",
    "Recon": "TA0043",
}
# Parts of finding types that correspond to a technique.
TECHNIQUES = {
    "PortProbe": "T1595",
    "Portscan": "T1046",
    "BruteForce": "T1110",
    "BitcoinTool": "T1496",
    "C&CActivity": "T1071",
    "DenialOfService": "T1498",
    "DNSDataExfiltration": "T1048",
    "InstanceCredentialExfiltration": "T1552.005",
    "MaliciousIPCaller": "T1078.004",
    "ConsoleLogin": "T1078.004",
    "AdministrativePermissions": "T1098",
}


class Mapper(hookmill.Mapper):
    def describe(self) -> Description:
        summary = "GuardDuty findings, from EventBridge, SNS or bare"
        return Description("AWS GuardDuty", "0.1.0", summary, scheme="aws-sns")

    def to_incidents(self, event: Event) -> Outcome:
        result = Outcome([], [], [])
        for finding in findings(read_json(event.body, EXPECTED), result):
            if text(finding, "id") is None:
                result.problems.append("a finding has no `id`")
            else:
                result.incidents.append(incident(finding))
        if not (result.incidents or result.skipped or result.problems):
            raise unsupported(f"expected {EXPECTED}")
        if result.problems and not (result.incidents or result.skipped):
            raise malformed("; ".join(result.problems))
        return result


def findings(body: Any, result: Outcome, wrapped: int = 0) -> Iterator[Any]:
    """Yields the findings in a body, unwrapping at most two envelopes. Adds other GuardDuty events to the skipped parts."""
    if text(body, "type") and at(body, "severity") is not None and at(body, "service") is not None:
        yield body
    elif text(body, "source") == "aws.guardduty" or text(body, "detail-type") == "GuardDuty Finding":
        if text(body, "detail-type") == "GuardDuty Finding":
            yield at(body, "detail")
        else:
            result.skipped.append(f"{text(body, 'detail-type')} of GuardDuty is not a finding"[:200])
    elif wrapped < 2 and isinstance(at(body, "Message"), str):
        yield from findings(read_json(at(body, "Message"), EXPECTED), result, wrapped + 1)
    elif wrapped < 2:
        for record in items(body, "Records"):
            yield from findings(at(record, "Sns"), result, wrapped + 1)


def incident(finding: Any) -> Incident:
    service, resource, kind = at(finding, "service"), at(finding, "resource"), text(finding, "type") or ""
    found = Incident(text(finding, "id") or "", title=text(finding, "title") or kind or None)
    found.description = text(finding, "description")
    # `Recon:EC2/PortProbeUnprotectedPort`: the purpose, the resource, the threat family.
    purpose, _, threat = kind.partition(":")
    found.category = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", purpose).lower() or None
    found.vendor_severity = text(finding, "severity")
    found.severity = severity(found.vendor_severity)
    found.state = {"true": State.RESOLVED, "false": State.OPEN}.get(text(service, "archived") or "")
    found.occurred_at = timestamp(text(service, "eventFirstSeen")) or timestamp(text(finding, "createdAt"))
    found.changed_at = timestamp(text(finding, "updatedAt"))
    found.external_link = console_link(finding)
    found.tag(f"guardduty:{kind}")
    found.attack(TECHNIQUES.get(next((name for name in TECHNIQUES if name in threat), "")), TACTICS.get(purpose))
    if not found.techniques:
        found.attack(TACTICS.get(purpose))
    for technique in items(service, "additionalInfo", "mitreTechniques"):
        found.attack(text(technique))

    observe_action(found, at(service, "action"))
    observe_resource(found, resource)
    for threat_list in items(service, "evidence", "threatIntelligenceDetails"):
        found.observe("hash", text(threat_list, "threatFileSha256"), "malicious file")

    for name in ("accountId", "region", "arn", "type"):
        found.detail(name, text(finding, name))
    for name in ("count", "eventLastSeen", "resourceRole", "additionalInfo", "evidence"):
        found.detail(name, at(service, name))
    found.detail("action", text(service, "action", "actionType"))
    found.detail("api", text(service, "action", "awsApiCallAction", "api"))
    found.detail("affected_resources", at(service, "action", "awsApiCallAction", "affectedResources"))
    found.detail("resource_type", text(resource, "resourceType"))
    return found


def severity(number: Optional[str]) -> Optional[Severity]:
    """Converts a number on GuardDuty's scale: low from 1, medium from 4, high from 7, critical from 9."""
    try:
        value = float(number or "")
    except ValueError:
        return None
    thresholds = ((9, Severity.CRITICAL), (7, Severity.HIGH), (4, Severity.MEDIUM), (1, Severity.LOW))
    return next((level for least, level in thresholds if value >= least), Severity.INFORMATIONAL)


def console_link(finding: Any) -> Optional[str]:
    """Returns the link to the finding in the console of its AWS partition."""
    region, finding_id = text(finding, "region"), text(finding, "id")
    hosts = {
        "aws": "console.aws.amazon.com",
        "aws-cn": "console.amazonaws.cn",
        "aws-us-gov": "console.amazonaws-us-gov.com",
    }
    host = hosts.get(text(finding, "partition") or "aws")
    if not region or not finding_id or not host:
        return None
    region, finding_id = quote(region, safe=""), quote(finding_id, safe="")
    return f"https://{region}.{host}/guardduty/home?region={region}#/findings?macros=current&fId={finding_id}"


def observe_action(found: Incident, action: Any) -> None:
    """Adds the remote addresses and domains of all kinds of actions."""
    for name in ("networkConnectionAction", "awsApiCallAction", "kubernetesApiCallAction", "rdsLoginAttemptAction"):
        observe_remote(found, at(action, name))
    for probe in items(action, "portProbeAction", "portProbeDetails"):
        port = text(probe, "localPortDetails", "port")
        observe_remote(found, probe, f"probed port {port}" if port else "probed a port")
    found.observe("domain", text(action, "dnsRequestAction", "domain"), "queried")
    found.observe("user-agent", text(action, "awsApiCallAction", "userAgent"), "remote")


def observe_remote(found: Incident, side: Any, message: str = "remote") -> None:
    found.observe("ip", text(side, "remoteIpDetails", "ipAddressV4"), message)
    found.observe("ip", text(side, "remoteIpDetails", "ipAddressV6"), message)
    domain = text(side, "domainDetails", "domain")
    # An AWS service that acts for a user is not worth looking up.
    if domain and not domain.endswith(".amazonaws.com"):
        found.observe("domain", domain, message)


def observe_resource(found: Incident, resource: Any) -> None:
    """Adds the affected resource."""
    instance = at(resource, "instanceDetails")
    found.observe("hostname", text(instance, "instanceId"), "affected instance")
    for interface in items(instance, "networkInterfaces"):
        found.observe("ip", text(interface, "publicIp"), "affected instance")
        found.observe("ip", text(interface, "privateIpAddress"), "affected instance")
        for address in items(interface, "ipv6Addresses"):
            found.observe("ip", text(address), "affected instance")
    found.observe("user-account", text(resource, "accessKeyDetails", "userName"), "owner of the access key")
    found.detail("access_key", text(resource, "accessKeyDetails", "accessKeyId"))
    for bucket in items(resource, "s3BucketDetails"):
        found.observe("other", text(bucket, "arn") or text(bucket, "name"), "affected bucket")
    for path, message in (
        (("eksClusterDetails", "arn"), "affected cluster"),
        (("lambdaDetails", "functionArn"), "affected function"),
        (("rdsDbInstanceDetails", "dbInstanceArn"), "affected database"),
        (("ecsClusterDetails", "arn"), "affected cluster"),
    ):
        found.observe("other", text(resource, *path), message)
    found.observe("user-account", text(resource, "rdsDbUserDetails", "user"), "database user")
    for name in ("imageId", "instanceType", "iamInstanceProfile", "tags"):
        found.detail(f"instance_{name}", at(instance, name))
