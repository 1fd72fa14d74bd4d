-- The way of an event through the stages: when it was written, in milliseconds, and the rest as JSON. Mappers' logs may quote
-- the payload and are removed with it. Null for events of earlier versions, and where there is nothing to keep.
ALTER TABLE events ADD COLUMN stored_at INTEGER;
ALTER TABLE events ADD COLUMN journey TEXT;
ALTER TABLE events ADD COLUMN log TEXT;
