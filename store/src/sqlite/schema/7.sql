-- Deliveries of one incident or event, and those of one notification, are found without reading all deliveries.
CREATE INDEX deliveries_told ON deliveries (subject);
CREATE INDEX deliveries_notified ON deliveries (notification) WHERE notification IS NOT NULL;

-- Records are shown as they are stored: those from before playbooks existed get the members that later records have.
UPDATE incidents SET record = json_set(record, '$.playbook', NULL) WHERE json_type(record, '$.playbook') IS NULL;
UPDATE incidents SET record = json_set(record, '$.triage', NULL) WHERE json_type(record, '$.triage') IS NULL;
