-- Deliveries of one incident or event, and those of one notification, are found without reading all of them.
CREATE INDEX deliveries_of_subject ON deliveries (subject, key);
CREATE INDEX deliveries_of_notification ON deliveries (notification, key) WHERE notification IS NOT NULL;
