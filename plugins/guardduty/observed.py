"""The addresses, users, files and resources of a finding."""

from typing import Any

from hookmill import Incident, at, items, text

# Blocks of `resource`, with the path of the resource's own id and its role.
RESOURCES = (
    (("eksClusterDetails", "arn"), "affected cluster"),
    (("ecsClusterDetails", "arn"), "affected cluster"),
    (("ecsClusterDetails", "taskDetails", "arn"), "affected task"),
    (("lambdaDetails", "functionArn"), "affected function"),
    (("rdsDbInstanceDetails", "dbInstanceArn"), "affected database"),
    (("rdsLimitlessDbDetails", "dbShardGroupArn"), "affected database"),
    (("ebsSnapshotDetails", "snapshotArn"), "affected snapshot"),
    (("ec2ImageDetails", "imageArn"), "affected image"),
    (("recoveryPointDetails", "recoveryPointArn"), "affected recovery point"),
)
READ_OF_RESOURCE = {"accessKeyDetails", "containerDetails", "instanceDetails", "resourceType"}
READ_OF_CONTEXT = {"modifyingProcess", "moduleSha256", "targetProcess"}


def observe_action(found: Incident, action: Any) -> None:
    """Adds the remote addresses and domains of all kinds of actions."""
    for name in ("networkConnectionAction", "awsApiCallAction", "kubernetesApiCallAction", "rdsLoginAttemptAction"):
        observe_remote(found, at(action, name))
    for probe in items(action, "portProbeAction", "portProbeDetails"):
        port = text(probe, "localPortDetails", "port")
        observe_remote(found, probe, f"probed port {port}" if port else "probed a port")
    found.observe("domain", text(action, "dnsRequestAction", "domain"), "queried")
    kubernetes = at(action, "kubernetesApiCallAction")
    for address in items(kubernetes, "sourceIPs"):
        found.observe("ip", text(address), "remote")
    for name in ("awsApiCallAction", "kubernetesApiCallAction"):
        found.observe("user-agent", text(action, name, "userAgent"), "remote")
    login = at(action, "rdsLoginAttemptAction")
    for attributes in items(login, "LoginAttributes") + items(login, "loginAttributes"):
        found.observe("user-account", text(attributes, "user"), "database login")

    found.detail("action", text(action, "actionType"))
    found.detail("api", text(action, "awsApiCallAction", "api"))
    found.detail("affected_resources", at(action, "awsApiCallAction", "affectedResources"))
    found.keep(at(action, "awsApiCallAction"), {"api", "affectedResources", "userAgent"}, "api_")
    found.keep(kubernetes, {"sourceIPs", "userAgent"}, "kubernetes_api_")
    found.keep(at(action, "networkConnectionAction"), (), "connection_")
    read = {"actionType", "awsApiCallAction", "dnsRequestAction", "kubernetesApiCallAction", "networkConnectionAction"}
    found.keep(action, read, "action_")


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
    found.observe("other", text(instance, "instanceId"), "affected instance")
    for tag in items(instance, "tags"):
        if text(tag, "key") == "Name":
            found.observe("hostname", text(tag, "value"), "affected instance")
    for interface in items(instance, "networkInterfaces"):
        found.observe("ip", text(interface, "publicIp"), "affected instance")
        found.observe("ip", text(interface, "privateIpAddress"), "affected instance")
        for address in items(interface, "ipv6Addresses"):
            found.observe("ip", text(address), "affected instance")
    found.observe("user-account", text(resource, "accessKeyDetails", "userName"), "owner of the access key")
    found.detail("access_key", text(resource, "accessKeyDetails", "accessKeyId"))
    for bucket in items(resource, "s3BucketDetails"):
        found.observe("other", text(bucket, "arn") or text(bucket, "name"), "affected bucket")
        for stored in items(bucket, "s3ObjectDetails"):
            found.observe("filename", text(stored, "key"), "affected object")
            found.observe("hash", text(stored, "hash"), "affected object")
    for path, message in RESOURCES:
        found.observe("other", text(resource, *path), message)
    found.observe("user-account", text(resource, "rdsDbUserDetails", "user"), "database user")
    observe_kubernetes(found, at(resource, "kubernetesDetails"))
    observe_container(found, at(resource, "containerDetails"))
    for container in items(resource, "ecsClusterDetails", "taskDetails", "containers"):
        observe_container(found, container)
    for name in ("imageId", "instanceType", "iamInstanceProfile", "tags"):
        found.detail(f"instance_{name}", at(instance, name))
    found.keep(instance, {"iamInstanceProfile", "imageId", "instanceId", "instanceType", "tags"}, "instance_")
    found.keep(at(resource, "accessKeyDetails"), {"accessKeyId", "userName"}, "access_key_")
    found.detail("resource_type", text(resource, "resourceType"))
    found.keep(resource, READ_OF_RESOURCE, "resource_")


def observe_kubernetes(found: Incident, kubernetes: Any) -> None:
    user, workload = at(kubernetes, "kubernetesUserDetails"), at(kubernetes, "kubernetesWorkloadDetails")
    found.observe("user-account", text(user, "username"), "Kubernetes user")
    found.observe("user-account", text(user, "impersonatedUser", "username"), "impersonated user")
    name = text(workload, "name")
    if name:
        kind, namespace = (text(workload, "type") or "workload").rstrip("s"), text(workload, "namespace")
        found.observe("other", f"{namespace}/{name}" if namespace else name, f"affected {kind}")
    found.observe("user-account", text(workload, "serviceAccountName"), "service account of the workload")
    for container in items(workload, "containers"):
        observe_container(found, container)


def observe_container(found: Incident, container: Any) -> None:
    found.observe("other", text(container, "id"), "affected container")
    found.observe("other", text(container, "name"), "name of the affected container")
    found.observe("other", text(container, "image"), "image of the affected container")
    found.keep(container, {"id", "image", "name"}, "container_")


def observe_runtime(found: Incident, runtime: Any) -> None:
    """Adds the processes and files that Runtime Monitoring saw."""
    context = at(runtime, "context")
    observe_process(found, at(runtime, "process"), "process")
    observe_process(found, at(context, "modifyingProcess"), "process that changed the file")
    observe_process(found, at(context, "targetProcess"), "process that was changed")
    found.observe("hash", text(context, "moduleSha256"), "kernel module")
    for name, message in (
        ("filePath", "file"), ("libraryPath", "library"), ("moduleFilePath", "kernel module"), ("scriptPath", "script"),
        ("threatFilePath", "malicious file"),
    ):
        found.observe("filename", text(context, name), message)
    found.detail("process", at(runtime, "process"))
    found.keep(context, READ_OF_CONTEXT, "runtime_")


def observe_process(found: Incident, process: Any, message: str) -> None:
    found.observe("filename", text(process, "executablePath") or text(process, "name"), message)
    found.observe("hash", text(process, "executableSha256"), message)
    found.observe("user-account", text(process, "user"), f"user of the {message}")


def observe_malware(found: Incident, service: Any) -> None:
    """Adds the files that a scan of volumes, objects or backups found."""
    volumes = at(service, "ebsVolumeScanDetails")
    threats = items(volumes, "scanDetections", "threatDetectedByName", "threatNames")
    for threat in threats:
        for file in items(threat, "filePaths"):
            observe_file(found, text(file, "fileName") or text(file, "filePath"), text(file, "hash"))
    scan = at(service, "malwareScanDetails")
    for threat in items(scan, "threats"):
        observe_file(found, None, text(threat, "hash"))
        for path in items(threat, "itemPaths") + items(threat, "itemDetails"):
            observe_file(found, text(path, "nestedItemPath") or text(path, "itemPath"), text(path, "hash"))
    names = {name: None for threat in threats + items(scan, "threats") if (name := text(threat, "name"))}
    found.detail("threats", list(names))
    found.keep(volumes, {"scanDetections"}, "scan_")
    found.keep(at(volumes, "scanDetections"), {"threatDetectedByName"}, "scan_")
    found.keep(scan, {"threats"}, "scan_")


def observe_file(found: Incident, name: Any, digest: Any) -> None:
    found.observe("filename", name, "malicious file")
    hashed = found.observe("hash", digest, "malicious file")
    if hashed:
        hashed.ioc = True


def observe_evidence(found: Incident, evidence: Any) -> None:
    for threat_list in items(evidence, "threatIntelligenceDetails"):
        found.observe("hash", text(threat_list, "threatFileSha256"), "malicious file")
