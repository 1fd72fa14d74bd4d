// The main fields of the incident that a detection of CrowdStrike's event stream makes.

const SEVERITIES = ["informational", "low", "medium", "high", "critical"];

function isMeaningful({ data_type, value }) {
  if (typeof value !== "string" || value === "") return false;
  return data_type === "hash" ? !/^0+$/.test(value) : data_type !== "ip" || !/^(127|2(2[4-9]|3\d))\./.test(value);
}

function map(payload) {
  const { metadata, event } = JSON.parse(payload);
  const sentAt = String(metadata.eventCreationTime);
  const indicator = event.IOCType?.startsWith("hash") ? "hash" : "other";
  const of = (list, data_type, name, message) =>
    (list ?? []).map((item) => ({ data_type, value: item[name], message }));
  const found = [
    { data_type: "hostname", value: event.ComputerName, message: "affected host" },
    { data_type: "ip", value: event.LocalIP, message: "affected host" },
    { data_type: "mac", value: event.MACAddress, message: "affected host" },
    { data_type: "user-account", value: event.UserName, message: "user" },
    { data_type: indicator, value: event.IOCValue, message: "indicator", ioc: true },
    { data_type: "hash", value: event.SHA256String, message: "process image" },
    { data_type: "hash", value: event.SHA1String, message: "process image" },
    { data_type: "hash", value: event.MD5String, message: "process image" },
    { data_type: "filename", value: event.FileName, message: "process image" },
    ...of(event.NetworkAccesses, "ip", "RemoteAddress", "contacted"),
    ...of(event.DnsRequests, "domain", "DomainName", "looked up"),
    ...of(event.FilesWritten, "filename", "FileName", "written"),
    ...of(event.ExecutablesWritten, "filename", "FileName", "written"),
  ];
  const observables = new Map();
  for (const one of found.filter(isMeaningful)) {
    const key = `${one.data_type} ${one.value}`;
    if (!observables.has(key)) observables.set(key, one);
  }
  return JSON.stringify([
    {
      source_ref: event.DetectId,
      title: event.DetectName,
      description: event.DetectDescription,
      severity: event.SeverityName?.toLowerCase() ?? SEVERITIES[event.Severity - 1],
      occurred_at: sentAt,
      changed_at: sentAt,
      external_link: event.FalconHostLink,
      tags: [event.Tactic, event.Technique].filter(Boolean),
      observables: [...observables.values()],
    },
  ]);
}
