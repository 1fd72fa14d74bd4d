-- The trace in which the event was received, in the form of the header `traceparent`: the attempts of its deliveries are
-- spans of the same trace, also after a restart. Null while traces are off.
ALTER TABLE events ADD COLUMN traceparent TEXT;
ALTER TABLE deliveries ADD COLUMN traceparent TEXT;
