"""Attack sequences: several signals that GuardDuty puts together to one finding."""

import re
from typing import Any, Optional

from hookmill import Incident, at, items, tactic_id, text

# Keys of indicators whose values are observables, with the type and the role.
INDICATORS = {
    "CRYPTOMINING_DOMAIN": ("domain", "mining pool", True),
    "CRYPTOMINING_IP": ("ip", "mining pool", True),
    "CRYPTOMINING_PROCESS": ("filename", "mining process", True),
    "MALICIOUS_DOMAIN": ("domain", "known to be malicious", True),
    "MALICIOUS_FILE": ("filename", "known to be malicious", True),
    "MALICIOUS_IP": ("ip", "known to be malicious", True),
    "MALICIOUS_PROCESS": ("filename", "known to be malicious", True),
    "SUSPICIOUS_PROCESS": ("filename", "suspicious process", False),
    "SUSPICIOUS_USER_AGENT": ("user-agent", "suspicious", False),
    "TOR_IP": ("ip", "exit node of Tor", False),
}
READ_OF_SEQUENCE = {"description", "sequenceIndicators"}
ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)")


def observe_sequence(found: Incident, sequence: Any, description: Optional[str]) -> None:
    """Adds the actors, addresses, resources and techniques of a sequence. Older findings have them in the description only,
    which is None for findings of other types."""
    if not isinstance(sequence, dict):
        for address in ADDRESS.findall(description or ""):
            found.observe("ip", address, "remote")
        found.attack(description)
        return
    for actor in items(sequence, "actors"):
        found.observe("user-account", text(actor, "user", "name"), "actor")
        found.detail("access_key", text(actor, "user", "credentialUid"))
        found.observe("filename", text(actor, "process", "path") or text(actor, "process", "name"), "process of the actor")
        found.observe("hash", text(actor, "process", "sha256"), "process of the actor")
    for endpoint in items(sequence, "endpoints"):
        found.observe("ip", text(endpoint, "ip"), "remote")
        found.observe("domain", text(endpoint, "domain"), "remote")
    for resource in items(sequence, "resources"):
        observe_resource(found, resource)
    tactics = []
    for indicator in items(sequence, "sequenceIndicators"):
        key = text(indicator, "key") or ""
        values = [value for entry in items(indicator, "values") if (value := text(entry))]
        if key == "ATTACK_TACTIC":
            tactics += values
        elif key == "ATTACK_TECHNIQUE":
            for value in values:
                found.attack_named(value, value)
        elif key in INDICATORS:
            observe_indicator(found, key, values)
        else:
            found.detail(f"indicator_{key.lower()}", values)
    if not found.techniques:
        for tactic in tactics:
            found.attack(tactic_id(tactic) or tactic)
    found.detail("tactics", tactics)
    found.keep(sequence, READ_OF_SEQUENCE, "sequence_")


def observe_indicator(found: Incident, key: str, values: Any) -> None:
    data_type, message, is_ioc = INDICATORS[key]
    for value in values:
        observable = found.observe(data_type, value, message)
        if observable:
            observable.ioc = observable.ioc or is_ioc
            observable.tags.append(key.lower().replace("_", "-"))


def observe_resource(found: Incident, resource: Any) -> None:
    kind, uid = text(resource, "resourceType") or "RESOURCE", text(resource, "uid")
    data = at(resource, "data")
    if kind == "EC2_INSTANCE":
        # The last part of `arn:aws:ec2:eu-west-1:111122223333:instance/i-0123`.
        found.observe("other", (uid or "").rsplit("/", 1)[-1] or text(resource, "name"), "affected instance")
    elif kind == "ACCESS_KEY":
        found.observe("user-account", text(data, "accessKey", "userName") or text(resource, "name"), "owner of the access key")
    elif kind == "EC2_NETWORK_INTERFACE":
        interface = at(data, "ec2NetworkInterface")
        found.observe("ip", text(interface, "publicIp"), "affected instance")
        for address in items(interface, "privateIpAddresses"):
            found.observe("ip", text(address, "privateIpAddress"), "affected instance")
    elif kind == "KUBERNETES_WORKLOAD":
        namespace, name = text(data, "kubernetesWorkload", "namespace"), text(resource, "name") or uid
        found.observe("other", f"{namespace}/{name}" if namespace else name, "affected workload")
    elif kind == "S3_OBJECT":
        found.observe("filename", text(data, "s3Object", "key") or text(resource, "name"), "affected object")
    else:
        found.observe("other", uid or text(resource, "name"), f"affected {kind.lower().replace('_', ' ')}")
    found.observe("other", text(data, "container", "image"), "image of the affected container")
