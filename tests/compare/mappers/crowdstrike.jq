# The main fields of the incident that a detection of CrowdStrike's event stream makes.
(.metadata.eventCreationTime | tostring) as $sent_at
| .event
| [
    {data_type: "hostname", value: .ComputerName, message: "affected host"},
    {data_type: "ip", value: .LocalIP, message: "affected host"},
    {data_type: "mac", value: .MACAddress, message: "affected host"},
    {data_type: "user-account", value: .UserName, message: "user"},
    {data_type: (if .IOCType // "" | startswith("hash") then "hash" else "other" end), value: .IOCValue, message: "indicator", ioc: true},
    {data_type: "hash", value: (.SHA256String, .SHA1String, .MD5String), message: "process image"},
    {data_type: "filename", value: .FileName, message: "process image"},
    {data_type: "ip", value: .NetworkAccesses[]?.RemoteAddress, message: "contacted"},
    {data_type: "domain", value: .DnsRequests[]?.DomainName, message: "looked up"},
    {data_type: "filename", value: (.FilesWritten, .ExecutablesWritten)[]?.FileName, message: "written"}
  ] as $found
| def is_meaningful: (.value // "") != ""
    and (.data_type != "hash" or (.value | test("^0+$") | not))
    and (.data_type != "ip" or (.value | test("^(127|2(2[4-9]|3[0-9]))\\.") | not));
  {
    source_ref: .DetectId,
    title: .DetectName,
    description: .DetectDescription,
    severity: (if .SeverityName then .SeverityName | ascii_downcase else ["informational", "low", "medium", "high", "critical"][.Severity - 1] end),
    occurred_at: $sent_at,
    changed_at: $sent_at,
    external_link: .FalconHostLink,
    tags: [.Tactic, .Technique | values],
    observables: [$found[] | select(is_meaningful)]
  }
