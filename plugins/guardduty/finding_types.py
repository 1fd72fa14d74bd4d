"""The parts of a finding's type, such as `Recon:EC2/PortProbeUnprotectedPort`: its purpose and its threat family."""

from typing import Optional

# The ATT&CK tactic of the purpose. A finding's type has no other reference to ATT&CK.
TACTICS = {
    "Backdoor": "TA0011",
    "CredentialAccess": "TA0006",
    "CryptoCurrency": "TA0040",
    "DefenseEvasion": "TA0005",
    "Discovery": "TA0007",
    "Execution": "TA0002",
    "Exfiltration": "TA0010",
    "Impact": "TA0040",
    "InitialAccess": "TA0001",
    "Persistence": "TA0003",
    "PrivilegeEscalation": "TA0004",
    "Recon": "TA0043",
    "Stealth": "TA0005",
}
# Parts of threat families that correspond to a technique; the first that fits applies.
TECHNIQUES = {
    "PortProbe": "T1595",
    "Portscan": "T1046",
    "BruteForce": "T1110",
    "BitcoinTool": "T1496",
    "CryptoMiner": "T1496",
    "C&CActivity": "T1071",
    "DenialOfService": "T1498",
    "DNSDataExfiltration": "T1048",
    "DGADomainRequest": "T1568.002",
    "PhishingDomainRequest": "T1566",
    "DriveBySourceTraffic": "T1189",
    "MetadataDNSRebind": "T1552.005",
    "InstanceCredentialExfiltration": "T1552.005",
    "MaliciousIPCaller": "T1078.004",
    "TorIPCaller": "T1078.004",
    "SuccessfulAnonymousAccess": "T1078.001",
    "AnonymousAccessGranted": "T1098",
    "ConsoleLogin": "T1078.004",
    "RootCredentialUsage": "T1078.004",
    "AdministrativePermissions": "T1098",
    "AdminAccessToDefaultServiceAccount": "T1098",
    "CloudTrailLoggingDisabled": "T1562.008",
    "ServerAccessLoggingDisabled": "T1562.008",
    "ContainerEscape": "T1611",
    "RuncContainerEscape": "T1611",
    "CGroupsReleaseAgentModified": "T1611",
    "DockerSocketAccessed": "T1611",
    "ContainerMountsHostDirectory": "T1611",
    "PrivilegedContainer": "T1610",
    "ContainerWithSensitiveMount": "T1610",
    "ExecInKubeSystemPod": "T1609",
    "ExposedDashboard": "T1133",
    "ReverseShell": "T1059",
    "ProcessInjection": "T1055",
    "FilelessExecution": "T1620",
    "KernelModuleLoaded": "T1547.006",
    "SuspiciousCommand": "T1059",
    "SuspiciousTool": "T1588.002",
    "UserdataExecution": "T1059",
    "MaliciousFile": "T1204.002",
    "SuspiciousFile": "T1204.002",
}


def technique_of(threat: str) -> Optional[str]:
    """Returns the id of the technique of a threat family."""
    return next((technique for name, technique in TECHNIQUES.items() if name in threat), None)
