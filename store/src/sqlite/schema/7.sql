-- Deliveries of one incident or event, and those of one notification, are found without reading all of them.
CREATE INDEX deliveries_told ON deliveries (subject);
CREATE INDEX deliveries_notified ON deliveries (notification) WHERE notification IS NOT NULL;

-- Records are shown as they stand: those of before there were playbooks get the members that later ones have.
UPDATE incidents SET record = json_set(record, '$.playbook', NULL) WHERE json_type(record, '$.playbook') IS NULL;
UPDATE incidents SET record = json_set(record, '$.triage', NULL) WHERE json_type(record, '$.triage') IS NULL;
