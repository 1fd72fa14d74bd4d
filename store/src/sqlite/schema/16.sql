-- Dead letters by destination and cause. Their groups are counted without reading the rows: the index has all that the
-- query names.
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead_cause ON deliveries (destination, error, status) WHERE status = 'dead';
